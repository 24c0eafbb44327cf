//! The tests' one clock, and their one source of chance.

use std::time::{Duration, Instant};

use keygate_model::Timestamp;

/// A moment to measure from.
#[expect(clippy::disallowed_methods, reason = "the tests' one stopwatch")]
pub(crate) fn moment() -> Instant {
    Instant::now()
}

/// What an authenticator's clock shows.
#[expect(clippy::disallowed_methods, reason = "the authenticator in a person's hand has a clock of its own")]
pub(crate) fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap())
}

/// Asks again every 5 ms until there is an answer, or panics after `longest`.
pub(crate) fn wait_for<T>(what: &str, longest: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = moment();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(began.elapsed() < longest, "waited {longest:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Chance that a seed repeats (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Of the environment's `KEYGATE_FAULT_SEED`, or always the same.
    pub(crate) fn of_the_day() -> Self {
        let seed =
            std::env::var("KEYGATE_FAULT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_131);
        eprintln!("KEYGATE_FAULT_SEED={seed} repeats the moments of this run");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}
