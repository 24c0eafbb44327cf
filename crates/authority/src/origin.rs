//! Where and when something was asked for. Comes in with every verb, ends up in its event.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use keygate_model::{Position, Timestamp};

/// Where and when.
#[derive(Clone, Debug)]
pub struct Origin {
    /// When the request came in.
    pub now: Timestamp,
    /// The client's address, or `local` for the command line.
    pub ip: String,
    /// The id that the answer and the log carry too.
    pub request_id: String,
    reached: Reached,
}

/// The position that a verb has reached, for whoever asks after it: shared by the copies of one origin.
#[derive(Clone, Debug, Default)]
struct Reached(Arc<AtomicI64>);

impl Origin {
    /// A request that came in at `now` from `ip`, under an id.
    #[must_use]
    pub fn new(now: Timestamp, ip: String, request_id: String) -> Self {
        Self { now, ip, request_id, reached: Reached::default() }
    }

    /// The position up to which the record must be known to see what this request has changed, or found done already. None:
    /// it has changed nothing.
    #[must_use]
    pub fn reached(&self) -> Option<Position> {
        Some(Position(self.reached.0.load(Ordering::Acquire))).filter(|position| *position > Position(0))
    }

    pub(crate) fn has_reached(&self, position: Position) {
        self.reached.0.fetch_max(position.0, Ordering::Release);
    }

    /// The command line, now.
    #[must_use]
    pub fn local(now: Timestamp) -> Self {
        Self::new(now, "local".to_owned(), "local".to_owned())
    }
}
