//! What is counted, for `GET /metrics`: numbers, and nothing of whom. Whoever decides adds to atomics that have their
//! places from the start: no lock, and no look-up by a name.

pub(crate) mod page;
mod process;
mod text;

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use keygate_model::{Deny, Unsure, Verdict};

pub(crate) use self::text::Format;
use crate::ways::{
    Way,
    denial::{self, CODES},
};

/// Upper bounds of the buckets for how long a decision takes, in nanoseconds, and as they are written in seconds.
const BOUNDS: [(u64, &str); 11] = [
    (5_000, "0.000005"),
    (10_000, "0.00001"),
    (25_000, "0.000025"),
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
];

/// Why it cannot be told: the words, by their places.
const UNSURE: [Unsure; 7] = [
    Unsure::Stale,
    Unsure::OwnerMissing,
    Unsure::ProxyMisconfigured,
    Unsure::Unsupported,
    Unsure::LeaseLapsed,
    Unsure::IssuerMissing,
    Unsure::Behind,
];

/// By which door a question came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Keygate's own API.
    Api,
    /// A way in.
    Way(Way),
}

/// How many there are.
const PROTOCOLS: usize = 2 + Way::ALL.len();

/// The counters.
#[derive(Default)]
pub struct Metrics {
    doors: [Door; PROTOCOLS],
    /// What Keygate's own API answers instead of what was asked for, by its code. Those are many, and that API waits for a
    /// disk anyway.
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    purge_misses: AtomicU64,
}

/// What came of the questions at one door.
#[derive(Default)]
struct Door {
    is_served: AtomicBool,
    allowed: AtomicU64,
    /// Of those, by knowledge that was older than it should be.
    stale: AtomicU64,
    denied: [AtomicU64; CODES.len()],
    unsure: [AtomicU64; UNSURE.len()],
    took: Histogram,
}

/// How long something takes. The last bucket has no bound.
#[derive(Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Metrics {
    /// Notes that a door is open, so that its counters are shown while they are 0: of what appears with its first count,
    /// nobody can see that it has grown.
    pub(crate) fn serves(&self, protocol: Protocol) {
        self.door(protocol).is_served.store(true, Ordering::Relaxed);
    }

    /// Counts a decision.
    pub(crate) fn decided(&self, protocol: Protocol, verdict: &Verdict) {
        let door = self.door(protocol);
        let counter = match verdict {
            Verdict::Allow(_) => &door.allowed,
            Verdict::Deny(deny) => &door.denied[usize::from(denial::code_number(*deny))],
            Verdict::CannotTell(unsure) => &door.unsure[place(*unsure)],
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if matches!(verdict, Verdict::Allow(permit) if permit.stale().is_some()) {
            door.stale.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a refusal ahead of the gate.
    pub(crate) fn denied(&self, protocol: Protocol, deny: Deny) {
        self.decided(protocol, &Verdict::Deny(deny));
    }

    /// Notes how long a decision took.
    pub(crate) fn took(&self, protocol: Protocol, time: Duration) {
        self.door(protocol).took.note(time);
    }

    /// Counts what Keygate's own API answers instead of what was asked for.
    pub(crate) fn refused(&self, code: &'static str) {
        *self.refusals.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    /// Counts a cache node that did not purge.
    pub(crate) fn purge_missed(&self) {
        self.purge_misses.fetch_add(1, Ordering::Relaxed);
    }

    fn door(&self, protocol: Protocol) -> &Door {
        match protocol {
            Protocol::Api => &self.doors[0],
            Protocol::Way(way) => &self.doors[1 + way as usize],
        }
    }

    /// The doors that are open.
    fn open_doors(&self) -> impl Iterator<Item = (&'static str, &Door)> {
        let ways = Way::ALL.into_iter().chain([Way::Proxy]);
        let all = std::iter::once(Protocol::Api).chain(ways.map(Protocol::Way));
        let doors = all.map(|protocol| (protocol.name(), self.door(protocol)));
        doors.filter(|(_, door)| door.is_served.load(Ordering::Relaxed))
    }

    /// Refusals by their codes, of all doors.
    fn refusals(&self) -> BTreeMap<&'static str, u64> {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The API's are in there already, in its own words.
        for door in &self.doors[1..] {
            for (code, count) in CODES.into_iter().zip(&door.denied) {
                match count.load(Ordering::Relaxed) {
                    0 => {}
                    count => *refusals.entry(code).or_default() += count,
                }
            }
        }
        refusals
    }
}

/// Whether this thread is to note how long its next decision takes ahead of an API: one of eight. Reading the clock twice
/// and adding to a histogram costs about a hundredth of such a request (docs/decisions/metrics.md).
pub(crate) fn is_watched() -> bool {
    thread_local! {
        static TURN: Cell<u8> = const { Cell::new(0) };
    }
    let turn = TURN.get();
    TURN.set((turn + 1) % 8);
    turn == 0
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Way(way) => way.name(),
        }
    }
}

impl Histogram {
    fn note(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|(most, _)| nanos <= *most).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

fn place(unsure: Unsure) -> usize {
    match unsure {
        Unsure::Stale => 0,
        Unsure::OwnerMissing => 1,
        Unsure::ProxyMisconfigured => 2,
        Unsure::Unsupported => 3,
        Unsure::LeaseLapsed => 4,
        Unsure::IssuerMissing => 5,
        Unsure::Behind => 6,
    }
}

#[cfg(test)]
mod tests {
    use keygate_model::{Circumstances, Freshness, Knowledge, Outage, Permit, Span, Timestamp};

    use super::*;

    #[test]
    fn each_door_and_each_doubt_has_a_place_of_its_own() {
        for (number, way) in Way::ALL.into_iter().chain([Way::Proxy]).enumerate() {
            assert_eq!(way as usize, number, "{}", way.name());
        }
        for (number, unsure) in UNSURE.into_iter().enumerate() {
            assert_eq!(place(unsure), number, "{}", unsure.code());
        }
    }

    #[test]
    fn who_is_let_in_although_the_gate_is_cut_off_is_counted_twice() {
        let known = Freshness { max_staleness: None, outage: Outage::AllowKnown(Span::seconds::<60>()) };
        let (age, longest) = (Duration::from_secs(40), Duration::from_mins(1));
        let at = Circumstances::of(Timestamp::from_seconds(0), None).wanting(known);
        let cut_off = at.knowing(Knowledge::Proved { age, lease: Span::seconds::<30>(), longest });
        let metrics = Metrics::default();
        for at in [at, cut_off] {
            metrics.decided(Protocol::Api, &at.settle(Verdict::Allow(Permit::public())));
        }
        let door = metrics.door(Protocol::Api);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!((count(&door.allowed), count(&door.stale)), (2, 1));
    }

    #[test]
    fn a_time_falls_into_the_bucket_that_its_bound_is_written_for() {
        let histogram = Histogram::default();
        for (nanos, seconds) in BOUNDS {
            assert_eq!(seconds.parse::<f64>().unwrap(), Duration::from_nanos(nanos).as_secs_f64());
            histogram.note(Duration::from_nanos(nanos));
        }
        histogram.note(Duration::from_nanos(10_000_001));
        for bucket in &histogram.buckets {
            assert_eq!(bucket.load(Ordering::Relaxed), 1);
        }
    }
}
