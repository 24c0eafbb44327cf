//! Tokens, as the replica takes them in and out.

use std::thread;

use keygate_model::{
    Expiry, UserId,
    record::{Owner, RevokedRecord, TokenRecord},
};

use super::{Desk, Replica};
use crate::table::{Entry, Key, NEVER};

/// After how many revoked tokens the processor is left to those who decide.
const REVOKED_TOGETHER: usize = 128;

impl Replica {
    pub(super) fn apply_token(&self, desk: &mut Desk, record: TokenRecord) {
        let key = Key::of(&record.digest);
        if record.revoked {
            self.tokens.load().remove(&mut desk.count, key);
            self.sudo.pin().remove(&record.id);
            return;
        }
        let Some(entry) = self.entry(desk, &record) else {
            tracing::error!(token = %record.id, "the replica cannot take this token: it does not authorise");
            self.tokens.load().remove(&mut desk.count, key);
            return;
        };
        match record.sudo_until {
            Some(until) => self.sudo.pin().insert(record.id, until),
            None => self.sudo.pin().remove(&record.id),
        };
        if let Some(larger) = self.tokens.load().outgrown(&mut desk.count) {
            self.tokens.store(larger.into());
        }
        self.tokens.load().put(&mut desk.count, key, &entry);
    }

    pub(super) fn apply_revoked(&self, desk: &mut Desk, record: &RevokedRecord) {
        let (tokens, sudo) = (self.tokens.load(), self.sudo.pin());
        for some in record.tokens.chunks(REVOKED_TOGETHER) {
            for (id, digest) in some {
                tokens.remove(&mut desk.count, Key::of(digest));
                sudo.remove(id);
            }
            thread::yield_now();
        }
    }

    /// What the table holds of a token. None if its owner is another customer's, or the shelves are full.
    fn entry(&self, desk: &mut Desk, record: &TokenRecord) -> Option<Entry> {
        let owner = self.owner_place(desk, record.customer, &record.owner)?;
        if !self.is_customer(self.owners.get(owner)?.load().customer, record.customer) {
            return None;
        }
        // The wire has whole seconds. A finer expiry is rounded down: a token never lives longer than it was given.
        let expires = match record.expires {
            Expiry::Never => NEVER,
            Expiry::At(at) => u32::try_from(at.seconds().max(0)).unwrap_or(NEVER - 1).min(NEVER - 1),
        };
        let user = match record.owner {
            Owner::User(user) => user,
            Owner::Customer { .. } => UserId::from_bits(0),
        };
        let grant = self.grant_place(desk, &record.scope, &record.services)?;
        Some(Entry { id: record.id, user, owner, grant, expires })
    }
}
