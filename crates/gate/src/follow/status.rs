//! How following goes, for those who watch.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use super::Why;

/// Counters, and what was last heard.
#[derive(Debug, Default)]
pub struct Status {
    connected: AtomicBool,
    heard_at: AtomicU64,
    snapshots: AtomicU64,
    resumed: AtomicU64,
    applied: AtomicU64,
    ended: [AtomicU64; Why::CODES.len()],
}

impl Status {
    /// Whether a node is being followed now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// When anything was last heard of a node, on the follower's clock.
    #[must_use]
    pub fn heard_at(&self) -> Duration {
        Duration::from_micros(self.heard_at.load(Ordering::Acquire))
    }

    /// How often everything was told anew.
    #[must_use]
    pub fn snapshots(&self) -> u64 {
        self.snapshots.load(Ordering::Relaxed)
    }

    /// How often it went on from where it was.
    #[must_use]
    pub fn resumed(&self) -> u64 {
        self.resumed.load(Ordering::Relaxed)
    }

    /// How many frames of changes were applied.
    #[must_use]
    pub fn applied_frames(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// How often following has ended, by why.
    pub fn ends(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Why::CODES.into_iter().zip(self.ended.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    pub(super) fn heard(&self, at: Duration) {
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        self.heard_at.fetch_max(micros, Ordering::AcqRel);
    }

    pub(super) fn began(&self, with_snapshot: bool) {
        self.connected.store(true, Ordering::Release);
        let counter = if with_snapshot { &self.snapshots } else { &self.resumed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn applied(&self) {
        self.applied.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, why: &Why) {
        self.connected.store(false, Ordering::Release);
        self.ended[why.place()].fetch_add(1, Ordering::Relaxed);
    }
}
