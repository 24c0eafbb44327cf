//! Tokens that are used although their owner is locked or gone: somebody's production has stopped, and should not have to
//! find out by itself (SECURITY-BAR T-13). Counted each time, told to the log of events once an hour for each token.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crossbeam_queue::ArrayQueue;
use keygate_authority::Origin;
use keygate_model::{Digest, Timestamp};

/// How long a token's last event stands for further uses, in microseconds.
const TELL_EVERY: i64 = 3600 * 1_000_000;

/// How many uses wait at most for the next flush.
const WAITING_MAX: usize = 1024;

/// The most tokens that are remembered as told.
const TOLD_MAX: usize = 100_000;

/// Uses that wait to be told.
pub(crate) struct Stranded {
    waiting: ArrayQueue<(Digest, Origin)>,
    told: Mutex<HashMap<[u8; 32], Timestamp>>,
    count: AtomicU64,
}

impl Default for Stranded {
    fn default() -> Self {
        let (told, count) = (Mutex::default(), AtomicU64::new(0));
        Self { waiting: ArrayQueue::new(WAITING_MAX), told, count }
    }
}

impl Stranded {
    /// Notes a use. Never waits; what does not fit is counted all the same.
    pub(crate) fn note(&self, digest: Digest, origin: impl FnOnce() -> Origin) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if !self.waiting.is_full() {
            // Full by now: another one has told enough.
            drop(self.waiting.push((digest, origin())));
        }
    }

    /// Takes what is to be told now: each token once an hour.
    pub(crate) fn take(&self) -> Vec<(Digest, Origin)> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        while let Some((digest, origin)) = self.waiting.pop() {
            let now = origin.now;
            let recent = |at: &Timestamp| now.micros() - at.micros() < TELL_EVERY;
            if told.get(digest.bytes()).is_some_and(recent) {
                continue;
            }
            if told.len() >= TOLD_MAX {
                told.retain(|_, at| recent(at));
            }
            told.insert(*digest.bytes(), now);
            due.push((digest, origin));
        }
        due
    }

    /// How many uses there were.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}
