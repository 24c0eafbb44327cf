//! When and from where something is asked, and how current the one who decides is.

use std::net::IpAddr;

use super::{Unsure, Verdict};
use crate::{
    freshness::{Freshness, Knowledge, Worth},
    time::Timestamp,
};

/// When and from where something is asked, and of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// When.
    pub now: Timestamp,
    /// The client's address. None: nobody knows, and then only a customer that limits nothing is served.
    pub client: Option<IpAddr>,
    /// How current the one who decides is.
    pub knowledge: Knowledge,
    /// How current they must be for this.
    pub freshness: Freshness,
}

impl Circumstances {
    /// Asked now, from there, of one who holds what the record holds.
    #[must_use]
    pub fn of(now: Timestamp, client: Option<IpAddr>) -> Self {
        Self { now, client, knowledge: Knowledge::Current, freshness: Freshness::default() }
    }

    /// The same, of one who knows this.
    #[must_use]
    pub fn knowing(self, knowledge: Knowledge) -> Self {
        Self { knowledge, ..self }
    }

    /// The same, about something that asks for this.
    #[must_use]
    pub fn wanting(self, freshness: Freshness) -> Self {
        Self { freshness, ..self }
    }

    /// What a verdict is that was reached by what is known here. By knowledge that serves only to let in whoever it names,
    /// nothing is refused: a token that it lacks may have been made since.
    #[must_use]
    pub fn settle(self, verdict: Verdict) -> Verdict {
        match (self.freshness.weigh(self.knowledge), verdict) {
            (Worth::Fresh, verdict) => verdict,
            (Worth::Stale(age), Verdict::Allow(permit)) => Verdict::Allow(permit.stale_for(age)),
            (Worth::Stale(_) | Worth::None, Verdict::CannotTell(unsure)) => Verdict::CannotTell(unsure),
            (Worth::Stale(_) | Worth::None, _) => Verdict::CannotTell(Unsure::LeaseLapsed),
        }
    }
}
