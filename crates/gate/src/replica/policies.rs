//! Policies in the replica: what scopes and roles mean, and what that changes for those who have them.

use std::sync::atomic::Ordering;

use keygate_model::policy::ApiSource;

use super::{Desk, Replica};
use crate::book::Book;

impl Replica {
    /// Compiles the policies that there are, and decides by them from now on. One that cannot be read is left out: what
    /// it names is denied.
    pub(super) fn apply_policies(&self, desk: &Desk) {
        let sources = desk.policies.values();
        let sources: Vec<_> = sources
            .map(|record| ApiSource { text: record.text.as_deref(), retired: &record.retired })
            .collect();
        let book = self.book.load();
        let (policy, unreadable) = book.policy.with_readable(&sources);
        self.unreadable.store(unreadable.len() + desk.broken_policies.len(), Ordering::Relaxed);
        for why in unreadable {
            tracing::error!(error = %why, "a policy cannot be read: everything at its hosts is denied");
        }
        self.book.store(book.under(policy.into()).into());
    }

    /// How many policies are left out.
    pub(crate) fn unreadable_policies(&self) -> usize {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// The number that a book has for something, which everybody's book has before anything goes by it.
    pub(super) fn numbered(&self, number: impl FnOnce(&Book) -> (u16, Option<Book>)) -> u16 {
        let (number, larger) = number(&self.book.load());
        if let Some(larger) = larger {
            self.book.store(larger.into());
        }
        number
    }
}
