//! What a replica holds, as records again: for whoever keeps it over a restart.

use std::sync::{OnceLock, atomic::Ordering};

use keygate_model::{
    Digest, Record, Services, Subject, UserId,
    authorization::Reach,
    customer::{CustomerState, Rules},
    record::{CustomerRecord, Owner, ServiceRecord, TokenRecord, UserRecord},
    user::UserState,
};

use super::{OwnerKey, Replica, expiry};
use crate::{
    table::{Entry, Key},
    word::{ACTIVE, DELETED, REACH_LIMITED, RULED, UNKNOWN, WITHOUT_FACTOR},
};

impl Replica {
    /// Tells every record. Changes that are applied meanwhile may be in it or not: whoever reads it goes on from the
    /// position that was held before, and hears of them again. Of digests there is the half that tokens are found by.
    pub(crate) fn export(&self, foreign: bool, tell: &mut dyn FnMut(Record)) {
        for record in self.few() {
            tell(record);
        }
        let sudo = self.sudo.pin();
        self.tokens.load_full().each_scattered(|key, entry| {
            if let Some(token) = self.token(key, &entry, foreign) {
                let sudo_until = sudo.get(&entry.id).copied();
                tell(Record::Token(TokenRecord { sudo_until, ..token }));
            }
        });
    }

    /// Everything but tokens.
    fn few(&self) -> Vec<Record> {
        let desk = self.desk();
        let mut records: Vec<_> = desk.policies.values().cloned().map(Record::Policy).collect();
        records.extend(desk.broken_policies.iter().map(|id| Record::Broken(Subject::Policy(*id))));
        for (id, place) in &desk.customers {
            let Some(entry) = self.customers.get(*place).and_then(OnceLock::get) else { continue };
            let word = entry.state.load(Ordering::Acquire);
            let state = match word & !RULED {
                UNKNOWN => continue,
                ACTIVE => CustomerState::Active,
                _ => CustomerState::Suspended,
            };
            let rules = if word & RULED == 0 { Rules::default() } else { Rules::clone(&entry.rules.load()) };
            records.push(Record::Customer(CustomerRecord { id: *id, state, rules }));
        }
        for (key, place) in &desk.owners {
            if let OwnerKey::User(id) = key {
                records.extend(self.user(*id, *place).map(Record::User));
            }
        }
        let services = self.services.pin();
        let service =
            |(id, customer): (&_, &_)| Record::Service(ServiceRecord { id: *id, customer: *customer });
        records.extend(services.iter().map(service));
        records
    }

    fn user(&self, id: UserId, place: u32) -> Option<UserRecord> {
        let word = self.owners.get(place)?.load();
        let state = match word.state {
            UNKNOWN => return None,
            ACTIVE => UserState::Active,
            DELETED => UserState::Deleted,
            _ => UserState::Locked,
        };
        let reach = match word.flags & REACH_LIMITED {
            0 => Reach::All,
            _ => self.reaches.pin().get(&id).cloned()?,
        };
        let customer = self.customers.get(word.customer)?.get()?.id;
        let role = self.book.load().role(word.role)?.word.to_string();
        let has_factor = word.flags & WITHOUT_FACTOR == 0;
        Some(UserRecord { id, customer, role, state, reach, has_factor })
    }

    fn token(&self, key: Key, entry: &Entry, foreign: bool) -> Option<TokenRecord> {
        let word = self.owners.get(entry.owner)?.load();
        let grant = self.grants.get(entry.grant)?.get()?;
        let owner = match entry.user.bits() {
            0 => Owner::Customer { role: self.book.load().role(word.role)?.word.to_string() },
            _ => Owner::User(entry.user),
        };
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&key.to_bytes());
        Some(TokenRecord {
            id: entry.id,
            digest: Digest::from_bytes(digest),
            customer: self.customers.get(word.customer)?.get()?.id,
            owner,
            scope: grant.words.to_string(),
            services: Services::clone(&grant.services),
            expires: expiry(entry.expires),
            sudo_until: None,
            foreign,
            revoked: false,
        })
    }
}

#[cfg(test)]
mod tests;
