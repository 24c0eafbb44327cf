//! The edges of the house: the one clock and the one source of randomness. Tests bring their own.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use keygate_authority::factor::{FactorEntropy, RECOVERY_CODES};
use keygate_gate::lease::uptime;
use keygate_model::{Timestamp, Uptime};
use sha2::{Digest as _, Sha256};

/// The clock.
pub enum Clock {
    /// The machine's.
    System,
    /// The machine's, in whose time what has expired does not come back: for what decides as long as it runs.
    Steady(Steady),
    /// A test's: stands until it is moved.
    Manual(AtomicI64),
}

impl Clock {
    /// The machine's from now on, and never slower than time passes.
    #[must_use]
    pub fn steady() -> Self {
        Self::Steady(Steady::since(system_now(), uptime()))
    }

    /// Takes the time that a node says it is: no gate's time is earlier. How far apart the machine's clock is from
    /// that.
    pub fn hear(&self, node: Timestamp) -> Option<Duration> {
        let Self::Steady(steady) = self else { return None };
        steady.hear(node, uptime());
        Some(apart(node, system_now()))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Steady(steady) => steady.at(system_now(), uptime()),
            Self::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::Relaxed)),
        }
    }
}

/// A clock that somebody may set, held against two that nobody sets here: the time since the process began, and what the
/// node that a gate follows said last. Setting it forward makes what expires expire early, until it is set right again; setting
/// it back does nothing.
pub struct Steady {
    /// What the clock was ahead of the uptime at the start.
    start: i64,
    /// What the node's time was ahead of it when that was heard last.
    node: AtomicI64,
}

impl Steady {
    fn since(wall: Timestamp, uptime: Uptime) -> Self {
        Self { start: ahead(wall, uptime), node: AtomicI64::new(i64::MIN) }
    }

    /// The last word counts, so that a node whose own clock was wrong for a while does no lasting harm.
    fn hear(&self, node: Timestamp, uptime: Uptime) {
        self.node.store(ahead(node, uptime), Ordering::Release);
    }

    fn at(&self, wall: Timestamp, uptime: Uptime) -> Timestamp {
        let most = ahead(wall, uptime).max(self.start).max(self.node.load(Ordering::Acquire));
        Timestamp::from_micros(most.saturating_add_unsigned(uptime.micros()))
    }
}

fn ahead(time: Timestamp, uptime: Uptime) -> i64 {
    time.micros().saturating_sub_unsigned(uptime.micros())
}

/// How far apart two times are.
fn apart(one: Timestamp, other: Timestamp) -> Duration {
    Duration::from_micros(one.micros().abs_diff(other.micros()))
}

#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
fn system_now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
}

/// A stretch of time for logs and the demo, on a clock that only moves forward.
#[derive(Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "measures, decides nothing")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// How long it has run.
    #[must_use]
    pub fn elapsed(&self) -> std::time::Duration {
        self.0.elapsed()
    }
}

/// The source of randomness.
pub enum Rng {
    /// The operating system's.
    System,
    /// A test's: the same every time.
    Seeded(Mutex<u64>),
}

/// The operating system gave no random bytes. Nothing can be made without them.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes to be had from the operating system")]
pub struct NoEntropy;

impl Rng {
    /// Random bytes.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn bytes<const LEN: usize>(&self) -> Result<[u8; LEN], NoEntropy> {
        let mut bytes = [0; LEN];
        match self {
            Self::System => fill(&mut bytes)?,
            Self::Seeded(counter) => {
                let mut counter = counter.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in bytes.chunks_mut(32) {
                    *counter += 1;
                    chunk.copy_from_slice(&Sha256::digest(counter.to_be_bytes())[..chunk.len()]);
                }
            }
        }
        Ok(bytes)
    }
}

impl Rng {
    /// Randomness for a new second factor.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn factor(&self) -> Result<FactorEntropy, NoEntropy> {
        let mut recovery = [[0; 15]; RECOVERY_CODES];
        for code in &mut recovery {
            *code = self.bytes()?;
        }
        Ok(FactorEntropy { seed: self.bytes()?, nonce: self.bytes()?, recovery })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one generator")]
fn fill(bytes: &mut [u8]) -> Result<(), NoEntropy> {
    getrandom::fill(bytes).map_err(|_| NoEntropy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_has_passed_does_not_come_back() {
        let (wall, up) = (Timestamp::from_seconds, |seconds: u64| Uptime::from_micros(seconds * 1_000_000));
        let clock = Steady::since(wall(1_000), up(10));
        assert_eq!(clock.at(wall(1_005), up(15)), wall(1_005));
        assert_eq!(clock.at(wall(5), up(16)), wall(1_006), "set back");
        assert_eq!(clock.at(wall(9_000), up(17)), wall(9_000), "set forward");
        assert_eq!(clock.at(wall(1_008), up(18)), wall(1_008), "and right again");
        clock.hear(wall(2_000), up(20));
        assert_eq!(clock.at(wall(1_021), up(21)), wall(2_001), "a node knows better");
        clock.hear(wall(1_030), up(30));
        assert_eq!(clock.at(wall(1_031), up(31)), wall(1_031), "and takes it back");
    }
}
