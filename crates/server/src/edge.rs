//! The edges of the house: the one clock and the one source of randomness. Tests bring their own.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use keygate_authority::factor::{FactorEntropy, RECOVERY_CODES};
use keygate_model::Timestamp;
use sha2::{Digest as _, Sha256};

/// The clock.
pub enum Clock {
    /// The machine's.
    System,
    /// A test's: stands until it is moved.
    Manual(AtomicI64),
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::Relaxed)),
        }
    }
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
