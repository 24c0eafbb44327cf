//! Who has enforced what: the authority's book of the gates that may be answering, and until when each may.
//!
//! A gate's lease is counted by the gate from before it *sent* a heartbeat, and here from when that heartbeat *came in*,
//! which is later. So the end that stands here is never before the one that the gate goes by, and a receipt that waits for
//! it is true. Three things must be so around it (the model in `crates/gate/tests/lease` breaks each and finds out):
//!
//! 1. a heartbeat is told to [`Gates::heard`] before it is committed, and echoed only once it is;
//! 2. its echo names the position that the record had reached in that commit, and is good for nothing until the gate has
//!    applied that much;
//! 3. whoever asks [`Gates::enforced`] has heard all heartbeats that were committed before the position in question: those
//!    in the memory of another node are read from the record after it, or waited for ([`Gates::after_start`]).

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    event::Position,
    time::{Span, Uptime},
};

/// One run of a gate, from its start to its end: a random number that it draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session(pub u128);

/// A random number that is drawn for one heartbeat, and never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub u128);

/// Which life of the record: an operator raises it when a restored backup begins another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// What a gate says now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Heartbeat {
    /// Which run of which gate.
    pub session: Session,
    /// Which life of the record it follows.
    pub epoch: Epoch,
    /// What the echo must repeat.
    pub nonce: Nonce,
    /// What it has applied: nothing up to there is unknown to it any more.
    pub applied: Position,
}

/// What a heartbeat is answered, once it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Echo {
    /// To whom.
    pub session: Session,
    /// In which life of the record.
    pub epoch: Epoch,
    /// To which heartbeat.
    pub nonce: Nonce,
    /// The last position that the record had when the heartbeat was committed.
    pub position: Position,
    /// For how long at most the gate may let anybody in by this, counted from when it sent the heartbeat.
    pub granted: Span,
}

/// How far clocks may be off: of a second, so many millionths, more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Drift {
    ppm: u32,
}

impl Drift {
    /// A tenth of a percent. NTP corrects by half of that at most, and quartz is off by less.
    pub const DEFAULT: Self = Self { ppm: 1_000 };

    /// Clocks that are off by this many millionths. None: so far off that none can be counted on.
    #[must_use]
    pub const fn ppm(ppm: u32) -> Option<Self> {
        if ppm <= 500_000 { Some(Self { ppm }) } else { None }
    }

    /// How long to wait by a clock that may be too fast until `length` has passed by one that may be too slow.
    #[must_use]
    pub fn outlast(self, length: Duration) -> Duration {
        let (micros, ppm) = (length.as_micros(), u128::from(self.ppm));
        let waited = micros.saturating_mul(1_000_000 + ppm).div_ceil(1_000_000 - ppm);
        Duration::from_micros(u64::try_from(waited).unwrap_or(u64::MAX))
    }
}

/// The gates that may be answering.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gates {
    drift: Drift,
    /// Until then there may be leases that nobody here has heard of.
    unheard_until: Uptime,
    runs: BTreeMap<Session, Run>,
}

/// What was heard of one run of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Run {
    name: Box<str>,
    /// The last heartbeat, and when it first came in.
    last: (Nonce, Uptime),
    /// When it was first heard to have applied how much, both rising.
    steps: VecDeque<(Position, Uptime)>,
    /// No later than this its lease has ended, unless it is heard again.
    ends: Uptime,
}

/// There are more gates than are kept book of.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there are {RUNS_MAX} gates already")]
pub struct TooManyGates;

/// Whether all gates have enforced a position.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Enforcement {
    /// None lets anybody in any more by what was true before it: how so, of each that might have.
    Enforced(Vec<Line>),
    /// Some may.
    Waiting {
        /// When it is enforced at the latest, if those that have a line [`How::Waiting`] are not heard again.
        until: Uptime,
        /// How it stands with each.
        lines: Vec<Line>,
    },
}

/// How it stands with one gate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// What it is called.
    pub name: Box<str>,
    /// Which run of it: two processes may have one name.
    pub session: Session,
    /// What it is known to have applied.
    pub position: Position,
    /// How it stands.
    pub how: How,
}

/// How it stands with a gate and a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// It has said that it has applied it.
    Confirmed {
        /// How long after the commit that was heard.
        after: Duration,
    },
    /// It has not, and cannot let anybody in any more.
    LeaseEnded {
        /// How long after the commit that was certain.
        after: Duration,
    },
    /// Neither yet.
    Waiting {
        /// When its lease ends at the latest.
        until: Uptime,
    },
}

/// The most runs of gates.
pub const RUNS_MAX: usize = 20_000;

/// The most steps that are remembered of a run. Of what is older, a later one is told.
const STEPS_MAX: usize = 64;

/// How long what was heard of a run is kept after its lease has ended, for receipts that are not given yet.
const KEPT: Duration = Duration::from_mins(10);

impl Gates {
    /// A book of all gates there are: none holds a lease that will not be told to [`Gates::heard`].
    #[must_use]
    pub fn complete(drift: Drift) -> Self {
        Self { drift, unheard_until: Uptime::START, runs: BTreeMap::new() }
    }

    /// A book that begins now: before, somebody else may have granted leases of up to `longest`, of which nobody tells.
    #[must_use]
    pub fn after_start(drift: Drift, longest: Span, now: Uptime) -> Self {
        let unheard_until = now.after(drift.outlast(longest.duration()));
        Self { drift, unheard_until, runs: BTreeMap::new() }
    }

    /// Notes a heartbeat that has come in, from the gate of this name, and what its echo will grant. Before the heartbeat is
    /// committed, so that no lease runs that nobody has noted.
    ///
    /// # Errors
    /// [`TooManyGates`]: then it must not be echoed.
    pub fn heard(
        &mut self,
        heartbeat: &Heartbeat,
        name: &str,
        granted: Span,
        now: Uptime,
    ) -> Result<(), TooManyGates> {
        if !self.runs.contains_key(&heartbeat.session) && self.runs.len() >= RUNS_MAX {
            self.runs.retain(|_, run| now < run.ends.after(KEPT));
            if self.runs.len() >= RUNS_MAX {
                return Err(TooManyGates);
            }
        }
        let run = self.runs.entry(heartbeat.session).or_insert_with(|| Run {
            name: name.into(),
            last: (heartbeat.nonce, now),
            steps: VecDeque::new(),
            ends: now,
        });
        // One that comes twice was sent once, before it came in first; its second echo may grant more.
        if run.last.0 != heartbeat.nonce {
            run.last = (heartbeat.nonce, now);
        }
        run.ends = run.ends.max(run.last.1.after(self.drift.outlast(granted.duration())));
        if run.steps.back().is_none_or(|(position, _)| *position < heartbeat.applied) {
            if run.steps.len() == STEPS_MAX {
                run.steps.pop_front();
            }
            run.steps.push_back((heartbeat.applied, now));
        }
        Ok(())
    }

    /// Whether what was committed at `position`, by this clock at `committed`, is enforced at every gate.
    #[must_use]
    pub fn enforced(&self, position: Position, committed: Uptime, now: Uptime) -> Enforcement {
        let live = self.runs.iter().filter(|(_, run)| committed < run.ends);
        let lines: Vec<_> = live
            .map(|(session, run)| Line {
                name: run.name.clone(),
                session: *session,
                position: run.steps.back().map_or(Position(0), |(position, _)| *position),
                how: run.how(position, committed, now),
            })
            .collect();
        let ends = lines.iter().filter_map(|line| match line.how {
            How::Waiting { until } => Some(until),
            How::Confirmed { .. } | How::LeaseEnded { .. } => None,
        });
        let unheard = (now < self.unheard_until).then_some(self.unheard_until);
        match ends.chain(unheard).max() {
            None => Enforcement::Enforced(lines),
            Some(until) => Enforcement::Waiting { until, lines },
        }
    }

    /// How many gates may be answering.
    #[must_use]
    pub fn live(&self, now: Uptime) -> usize {
        self.runs.values().filter(|run| now < run.ends).count()
    }

    /// What the one of them has applied that has applied the least.
    #[must_use]
    pub fn slowest(&self, now: Uptime) -> Option<Position> {
        let live = self.runs.values().filter(|run| now < run.ends);
        live.map(|run| run.steps.back().map_or(Position(0), |(position, _)| *position)).min()
    }

    /// Forgets the runs whose leases ended so long ago that no receipt names them, and tells which, with their last nonce.
    pub fn tidy(&mut self, now: Uptime) -> Vec<(Session, Nonce)> {
        let ended = self.runs.extract_if(.., |_, run| run.ends.after(KEPT) <= now);
        ended.map(|(session, run)| (session, run.last.0)).collect()
    }
}

impl Run {
    fn how(&self, position: Position, committed: Uptime, now: Uptime) -> How {
        match self.steps.iter().find(|(applied, _)| position <= *applied) {
            Some((_, at)) => How::Confirmed { after: at.since(committed) },
            None if now < self.ends => How::Waiting { until: self.ends },
            None => How::LeaseEnded { after: self.ends.since(committed) },
        }
    }
}

#[cfg(test)]
mod tests;
