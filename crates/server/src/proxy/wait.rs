//! How long either side may keep the other waiting: one tick a second for all connections, since a timer for every
//! request costs a tenth of the way (`patience.rs`, measured).
//!
//! A connection has one wait. Whoever knows that it is this side's turn now says so, with how long it may take; bytes
//! that move begin the time anew.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::task::AbortHandle;

/// All connections on both sides, and the tick.
#[derive(Default)]
pub(super) struct Waits {
    tick: Arc<AtomicU32>,
    all: Mutex<Vec<Arc<Wait>>>,
}

/// What one connection is waited for, and since when.
#[derive(Default)]
pub(super) struct Wait {
    tick: Arc<AtomicU32>,
    since: AtomicU32,
    /// 0: it is not this side's turn.
    seconds_max: AtomicU32,
    was_cut: AtomicBool,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Waits {
    /// A wait for a new connection.
    pub(super) fn begin(&self, seconds_max: u32) -> Arc<Wait> {
        let wait = Arc::new(Wait { tick: Arc::clone(&self.tick), ..Wait::default() });
        wait.turn(seconds_max);
        self.all().push(Arc::clone(&wait));
        wait
    }

    /// A second later: cuts what has taken too long.
    pub(super) fn tick(&self) {
        let now = self.tick.fetch_add(1, Relaxed) + 1;
        let mut all = self.all();
        all.retain(|wait| Arc::strong_count(wait) > 1);
        all.iter().filter(|wait| wait.is_over(now)).for_each(|wait| wait.cut());
    }

    /// Ends every connection.
    pub(super) fn cut_all(&self) {
        self.all().iter().for_each(|wait| wait.cut());
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Wait>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait {
    /// It is this side's turn from now on, for at most so long without a byte.
    pub(super) fn turn(&self, seconds_max: u32) {
        self.moved();
        self.seconds_max.store(seconds_max, Relaxed);
    }

    /// It is not this side's turn.
    pub(super) fn rest(&self) {
        self.seconds_max.store(0, Relaxed);
    }

    /// Bytes have moved.
    pub(super) fn moved(&self) {
        self.since.store(self.tick.load(Relaxed), Relaxed);
    }

    /// Whether nothing has moved for a second at least, give or take one.
    pub(super) fn is_stale(&self) -> bool {
        self.since.load(Relaxed) != self.tick.load(Relaxed)
    }

    /// Whether it was ended for taking too long.
    pub(super) fn was_cut(&self) -> bool {
        self.was_cut.load(Relaxed)
    }

    /// Notes a task that ends with the connection.
    pub(super) fn hold(&self, task: AbortHandle) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    fn is_over(&self, now: u32) -> bool {
        let most = self.seconds_max.load(Relaxed);
        most > 0 && now.wrapping_sub(self.since.load(Relaxed)) > most
    }

    fn cut(&self) {
        self.was_cut.store(true, Relaxed);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(AbortHandle::abort);
    }
}

/// Ends after `seconds`, for what happens seldom enough to have a timer of its own.
pub(super) async fn seconds(seconds: u32) {
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whose_turn_it_is_can_be_late() {
        let waits = Waits::default();
        let (late, resting) = (waits.begin(2), waits.begin(2));
        resting.rest();
        (0..2).for_each(|_| waits.tick());
        assert!(!late.was_cut(), "it may take all of its time");
        waits.tick();
        assert!(late.was_cut() && !resting.was_cut());
    }

    #[test]
    fn bytes_begin_the_time_anew() {
        let waits = Waits::default();
        let busy = waits.begin(1);
        for _ in 0..5 {
            waits.tick();
            busy.moved();
        }
        assert!(!busy.was_cut());
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let waits = Waits::default();
        drop(waits.begin(1));
        waits.tick();
        assert!(waits.all().is_empty());
    }
}
