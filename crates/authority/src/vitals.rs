//! Signs of life, for whoever watches: when the feed was last looked at, what failed, how logins went. Nothing is decided
//! by them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::fault::{Fault, LoginRefusal};

/// How attempts to log in end: the words for it, in the order of their counters.
pub const LOGIN_RESULTS: [&str; 12] = [
    "proved",
    "failed",
    "code_required",
    "code_wrong",
    "code_reused",
    "code_malformed",
    "over_quota",
    "password_expired",
    "factor_locked",
    "token_without_factor",
    "too_many",
    "error",
];

/// The signs.
pub struct Vitals {
    start: Instant,
    /// When the feed was last read to its end, in microseconds after the start.
    looked: AtomicU64,
    store_errors: AtomicU64,
    logins: [AtomicU64; LOGIN_RESULTS.len()],
}

impl Vitals {
    /// Of an authority whose feed has just been read.
    #[expect(clippy::disallowed_methods, reason = "measures, decides nothing")]
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            looked: AtomicU64::new(0),
            store_errors: AtomicU64::new(0),
            logins: [const { AtomicU64::new(0) }; LOGIN_RESULTS.len()],
        }
    }

    /// How long ago the feed was last read to its end. What anybody had committed by then is in the gate; what came later
    /// may be missing. So this is the most that the gate can be behind.
    #[must_use]
    pub fn behind(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_micros(self.looked.load(Ordering::Acquire)))
    }

    /// How often the database did not do what it was asked to.
    #[must_use]
    pub fn store_errors(&self) -> u64 {
        self.store_errors.load(Ordering::Relaxed)
    }

    /// How attempts to log in have ended.
    pub fn logins(&self) -> impl Iterator<Item = (&'static str, u64)> {
        LOGIN_RESULTS.into_iter().zip(self.logins.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Notes that the feed was read to its end, beginning `since` then.
    pub(crate) fn looked(&self, since: Duration) {
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        self.looked.fetch_max(micros, Ordering::Release);
    }

    /// How long it has been since the start.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Counts what the database did not do.
    pub(crate) fn store_failed(&self) {
        self.store_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a failure if it is the database's, and hands it on.
    pub(crate) fn noting<T>(&self, outcome: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(Fault::Storage(_)) = &outcome {
            self.store_failed();
        }
        outcome
    }

    /// Counts an attempt to log in.
    pub(crate) fn login_ended<T>(&self, outcome: &Result<Result<T, LoginRefusal>, Fault>) {
        let place = match outcome {
            Ok(Ok(_)) => 0,
            Ok(Err(refusal)) | Err(Fault::Login(refusal)) => place(*refusal),
            Err(_) => LOGIN_RESULTS.len() - 1,
        };
        self.logins[place].fetch_add(1, Ordering::Relaxed);
    }
}

fn place(refusal: LoginRefusal) -> usize {
    match refusal {
        LoginRefusal::Failed => 1,
        LoginRefusal::CodeRequired => 2,
        LoginRefusal::CodeWrong => 3,
        LoginRefusal::CodeReused => 4,
        LoginRefusal::CodeMalformed => 5,
        LoginRefusal::OverQuota => 6,
        LoginRefusal::PasswordExpired => 7,
        LoginRefusal::FactorLocked => 8,
        LoginRefusal::TokenWithoutFactor => 9,
        LoginRefusal::TooMany { .. } => 10,
    }
}
