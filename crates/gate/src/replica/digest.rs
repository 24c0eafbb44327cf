//! A sum over everything that a replica holds. In whatever order it heard of things, and wherever it put them, two
//! replicas that hold the same have the same sum.

use std::{
    sync::{OnceLock, atomic::Ordering},
    thread,
};

use keygate_model::{CustomerId, Digest};

use super::{Desk, OwnerKey, Replica};
use crate::word::{REACH_LIMITED, RULED, UNKNOWN};

/// After how many tokens the processor is left to those who decide.
const SUMMED_TOGETHER: usize = 2048;

/// A sum of digests, which does not know an order.
#[derive(Default)]
struct Sum(u128);

/// Digests by the place of what they are of. Each token asks for two: a map would take longer than the token's own digest.
#[derive(Default)]
struct ByPlace(Vec<Option<u128>>);

impl ByPlace {
    fn insert(&mut self, place: u32, digest: u128) {
        let place = place as usize;
        if self.0.len() <= place {
            self.0.resize(place + 1, None);
        }
        self.0[place] = Some(digest);
    }

    fn get(&self, place: u32) -> Option<u128> {
        self.0.get(place as usize).copied().flatten()
    }
}

impl Sum {
    fn add(&mut self, what: &[u8]) {
        self.0 = self.0.wrapping_add(of(what));
    }
}

fn of(what: &[u8]) -> u128 {
    let (first, second) = Digest::of(what).prefix();
    u128::from(first) << 64 | u128::from(second)
}

impl Replica {
    /// The sum over everything; of one customer, over what is its own. Nothing is applied meanwhile.
    pub(crate) fn digest(&self, only: Option<CustomerId>) -> u128 {
        let desk = self.desk();
        let mut sum = Sum::default();
        let wanted = |id: CustomerId| only.is_none_or(|only| only == id);
        for (id, place) in desk.customers.iter().filter(|(id, _)| wanted(**id)) {
            if let Some(entry) = self.customers.get(*place).and_then(OnceLock::get)
                && entry.state.load(Ordering::Acquire) != UNKNOWN
            {
                let state = entry.state.load(Ordering::Acquire);
                let rules =
                    if state & RULED == 0 { String::new() } else { format!("{:?}", entry.rules.load()) };
                sum.add(&[b"customer", &id.to_bytes()[..], &[state], rules.as_bytes()].concat());
            }
        }
        for (service, customer) in self.services.pin().iter().filter(|(_, customer)| wanted(**customer)) {
            sum.add(&[b"service", &service.to_bytes()[..], &customer.to_bytes()].concat());
        }
        let owners = self.owner_digests(&desk, &wanted, &mut sum);
        self.add_tokens(&desk, &owners, &mut sum);
        if only.is_none() {
            for (id, policy) in &desk.policies {
                let text = policy.text.as_deref().unwrap_or_default();
                let retired = policy.retired.join("\n");
                sum.add(
                    &[b"policy", &id.to_bytes()[..], text.as_bytes(), b"\0", retired.as_bytes()].concat(),
                );
            }
            desk.broken_policies.iter().for_each(|id| sum.add(&[b"broken", &id.to_bytes()[..]].concat()));
        }
        sum.0
    }

    /// Adds people, and gives back a digest of each wanted owner by its place.
    fn owner_digests(&self, desk: &Desk, wanted: &impl Fn(CustomerId) -> bool, sum: &mut Sum) -> ByPlace {
        let (book, mut owners) = (self.book.load(), ByPlace::default());
        for (key, place) in &desk.owners {
            let Some(word) = self.owners.get(*place).map(|owner| owner.load()) else { continue };
            let customer = self.customers.get(word.customer).and_then(OnceLock::get).map(|entry| entry.id);
            let Some(customer) = customer.filter(|customer| wanted(*customer)) else { continue };
            let role = book.role(word.role).map_or("", |named| &*named.word);
            let whose = match key {
                OwnerKey::Customer(_, role) => {
                    [b"machine", &customer.to_bytes()[..], role.as_bytes()].concat()
                }
                OwnerKey::User(user) => {
                    let reach = match self.reaches.pin().get(user) {
                        Some(reach) if word.flags & REACH_LIMITED != 0 => format!("{reach:?}"),
                        _ => String::new(),
                    };
                    let about = [word.flags, word.state];
                    if word.state != UNKNOWN {
                        let parts: [&[u8]; 6] = [
                            &user.to_bytes(),
                            &customer.to_bytes(),
                            &about,
                            role.as_bytes(),
                            b"\0",
                            reach.as_bytes(),
                        ];
                        sum.add(&[b"user", &parts.concat()[..]].concat());
                    }
                    [b"person", &user.to_bytes()[..], &customer.to_bytes()].concat()
                }
            };
            owners.insert(*place, of(&whose));
        }
        owners
    }

    fn add_tokens(&self, desk: &Desk, owners: &ByPlace, sum: &mut Sum) {
        let mut grants = ByPlace::default();
        for (services, scopes) in &desk.grants {
            for (scope, place) in scopes {
                grants.insert(*place, of(format!("{scope}\n{:?}", services.listed()).as_bytes()));
            }
        }
        let sudo = self.sudo.pin();
        let (has_sudo, mut summed) = (!sudo.is_empty(), 0_usize);
        self.tokens.load().each(|key, entry| {
            summed += 1;
            if summed % SUMMED_TOGETHER == 0 {
                thread::yield_now();
            }
            let Some(owner) = owners.get(entry.owner) else { return };
            let grant = grants.get(entry.grant).unwrap_or_default();
            // One block of SHA-256: there are many.
            let mut what = [0; 52];
            what[..16].copy_from_slice(&key.to_bytes());
            what[16..32].copy_from_slice(&entry.id.to_bytes());
            what[32..40].copy_from_slice(&owner.to_be_bytes()[..8]);
            what[40..48].copy_from_slice(&grant.to_be_bytes()[..8]);
            what[48..].copy_from_slice(&entry.expires.to_be_bytes());
            sum.add(&what);
            if has_sudo && let Some(until) = sudo.get(&entry.id) {
                sum.add(&[b"sudo", &entry.id.to_bytes()[..], &until.micros().to_be_bytes()].concat());
            }
        });
    }
}
