//! Who is told of what. The gates of an operator are told of everything; those of a customer of what concerns it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use keygate_gate::wire;
use keygate_model::{
    CustomerId, Policy, PolicyId, Record, Subject,
    policy::{ApiSource, Customers},
    record::PolicyRecord,
};

/// What a follower is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// Everything.
    All,
    /// What concerns this customer.
    Customer(CustomerId),
}

/// Which customers a record concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    All,
    One(CustomerId),
    These(Arc<BTreeSet<CustomerId>>),
    AllBut(Arc<BTreeSet<CustomerId>>),
}

/// A record, encoded once for whomever it concerns.
pub(super) struct Telling {
    pub(super) audience: Audience,
    /// For whoever is told of everything too. A policy that a customer is taken out of is taken back for that one alone.
    pub(super) for_all: bool,
    pub(super) record: Bytes,
}

/// Whom policies concern, which their records do not say when they go.
pub(super) struct Audiences {
    own: Arc<Policy>,
    policies: BTreeMap<PolicyId, Audience>,
}

impl View {
    /// The customer that alone is told of.
    #[must_use]
    pub fn customer(self) -> Option<CustomerId> {
        match self {
            Self::All => None,
            Self::Customer(customer) => Some(customer),
        }
    }
}

impl Audience {
    fn nobody() -> Self {
        Self::These(Arc::default())
    }

    fn includes(&self, customer: CustomerId) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => *one == customer,
            Self::These(these) => these.contains(&customer),
            Self::AllBut(these) => !these.contains(&customer),
        }
    }

    /// Those who are here and not there.
    fn without(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, Self::These(these)) => Self::AllBut(Arc::clone(these)),
            (Self::These(these), other) => {
                let left = these.iter().copied().filter(|customer| !other.includes(*customer));
                Self::These(Arc::new(left.collect()))
            }
            _ => Self::nobody(),
        }
    }

    fn is_nobody(&self) -> bool {
        matches!(self, Self::These(these) if these.is_empty())
    }
}

impl Telling {
    /// Whether a follower is told.
    pub(super) fn is_for(&self, view: View) -> bool {
        match view {
            View::All => self.for_all,
            View::Customer(customer) => self.audience.includes(customer),
        }
    }
}

impl Audiences {
    pub(super) fn new(own: Arc<Policy>) -> Self {
        Self { own, policies: BTreeMap::new() }
    }

    /// Notes whom a record concerns, without telling anybody.
    pub(super) fn note(&mut self, record: &Record) {
        if let Record::Policy(policy) = record {
            let audience = self.of_policy(policy);
            self.policies.insert(policy.id, audience);
        }
    }

    /// A record as it is told, and to whom.
    pub(super) fn tell(&mut self, record: &Record, into: &mut Vec<Telling>) {
        let audience = match record {
            Record::Customer(customer) => Audience::One(customer.id),
            Record::User(user) => Audience::One(user.customer),
            Record::Service(service) => Audience::One(service.customer),
            Record::Token(token) => Audience::One(token.customer),
            Record::Revoked(revoked) => Audience::One(revoked.customer),
            Record::Policy(policy) => return self.tell_policy(policy, record, into),
            Record::Broken(Subject::Customer(customer)) => Audience::One(*customer),
            Record::Broken(Subject::Policy(id)) => {
                self.policies.get(id).cloned().unwrap_or_else(Audience::nobody)
            }
            // Whose it is stood in the row that cannot be believed. It is an id and no more, and must not be missed.
            Record::Broken(_) => Audience::All,
        };
        into.push(Telling { audience, for_all: true, record: wire::encode(record) });
    }

    fn tell_policy(&mut self, policy: &PolicyRecord, record: &Record, into: &mut Vec<Telling>) {
        let now = self.of_policy(policy);
        let before = self.policies.insert(policy.id, now.clone()).unwrap_or_else(Audience::nobody);
        let lost = before.without(&now);
        if !lost.is_nobody() {
            let gone = Record::Policy(PolicyRecord { id: policy.id, text: None, retired: Vec::new() });
            into.push(Telling { audience: lost, for_all: false, record: wire::encode(&gone) });
        }
        into.push(Telling { audience: now, for_all: true, record: wire::encode(record) });
    }

    /// Whom a policy concerns. One that cannot be read, or was taken back, concerns nobody in particular.
    fn of_policy(&self, policy: &PolicyRecord) -> Audience {
        let source = ApiSource { text: policy.text.as_deref(), retired: &policy.retired };
        let compiled = self.own.with(&[source]).ok();
        match compiled.as_ref().and_then(|policy| policy.apis().first()).map(|api| &api.customers) {
            Some(Customers::All) => Audience::All,
            Some(Customers::These(these)) => Audience::These(Arc::new(these.clone())),
            None => Audience::nobody(),
        }
    }
}

#[cfg(test)]
mod tests;
