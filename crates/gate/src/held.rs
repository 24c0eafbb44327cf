//! What a gate holds at a time: a replica, and what else is true of the feed that filled it. Replaced as a whole where a
//! gate begins anew, so that nothing is decided by a half of one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use keygate_model::{Batch, Policy, Position, Record, ServiceId, Subject, decide::WantedService};

use crate::replica::Replica;

/// It.
pub(crate) struct Held {
    pub(crate) replica: Replica,
    /// The log that it follows was tampered with: what it holds may be behind, and nothing can tell by how much.
    distrusted: AtomicBool,
    /// Some of its tokens were imported: their secrets may look like anything.
    foreign: AtomicBool,
}

impl Held {
    pub(crate) fn new(policy: Arc<Policy>, tokens: usize) -> Self {
        Self {
            replica: Replica::new(policy, tokens),
            distrusted: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
        }
    }

    pub(crate) fn apply(&self, batch: Batch) {
        if batch.records.contains(&Record::Broken(Subject::None)) {
            self.distrusted.store(true, Ordering::Release);
        }
        if batch.records.iter().any(|record| matches!(record, Record::Token(token) if token.foreign)) {
            self.foreign.store(true, Ordering::Release);
        }
        self.replica.apply(batch);
    }

    /// Believes nothing of it any more.
    pub(crate) fn give_up(&self) {
        self.distrusted.store(true, Ordering::Release);
    }

    pub(crate) fn is_distrusted(&self) -> bool {
        self.distrusted.load(Ordering::Acquire)
    }

    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign.load(Ordering::Acquire)
    }

    pub(crate) fn wanted(&self, text: &str) -> WantedService {
        text.parse().map_or(WantedService::Unknown, |id| self.wanted_id(id))
    }

    pub(crate) fn wanted_id(&self, id: ServiceId) -> WantedService {
        self.replica
            .customer_of(id)
            .map_or(WantedService::Unknown, |customer| WantedService::Known(id, customer))
    }
}

/// A replica that is filled beside the one that decides, to take its place when it is whole.
pub struct Filling(Held);

impl Filling {
    pub(crate) fn new(policy: Arc<Policy>, tokens: usize) -> Self {
        Self(Held::new(policy, tokens))
    }

    /// Adds what there is.
    pub fn apply(&self, batch: Batch) {
        self.0.apply(batch);
    }

    /// The position that was applied.
    #[must_use]
    pub fn position(&self) -> Position {
        self.0.replica.position()
    }

    /// A sum over everything it holds, as [`Gate::digest`](crate::Gate::digest) makes it.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.0.replica.digest(None)
    }

    pub(crate) fn held(self) -> Arc<Held> {
        Arc::new(self.0)
    }
}

/// What a gate decided by before. The last decision that looks at it may be under way still; giving a large one back to
/// the system takes milliseconds, which are better not a decision's.
pub struct Retired(Arc<Held>);

impl Retired {
    pub(crate) fn new(held: Arc<Held>) -> Self {
        Self(held)
    }

    /// Whether nobody looks at it any more.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}
