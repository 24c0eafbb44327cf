//! The model: what should be true, said as plainly as it can be. It remembers what each token was made with, and looks at
//! nothing that the authority or the gate say.

use std::collections::BTreeMap;

use keygate_model::{Digest, ServiceId, Timestamp, TokenId};

use crate::{book::Set, house::BOOK};

/// What a wrong model is wrong about: for the negative control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The role that the owner had when the token was made counts, not today's.
    RoleAtCreation,
    /// The scope does not limit.
    NoCeiling,
    /// Revoked tokens live.
    NoRevocation,
    /// A token is still alive on the stroke.
    LateExpiry,
    /// Locked people act.
    NoLock,
    /// What a person reaches does not limit their tokens.
    NoReach,
    /// Services that a token is limited to do not.
    NoServices,
    /// Closed houses are open.
    NoSuspension,
    /// A second factor is not asked for.
    NoFactor,
    /// A converted token is still its person's.
    NoConversion,
}

impl Flaw {
    pub(crate) const ALL: [Self; 10] = [
        Self::RoleAtCreation,
        Self::NoCeiling,
        Self::NoRevocation,
        Self::LateExpiry,
        Self::NoLock,
        Self::NoReach,
        Self::NoServices,
        Self::NoSuspension,
        Self::NoFactor,
        Self::NoConversion,
    ];
}

#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) role: Role,
    pub(crate) active: bool,
    pub(crate) gone: bool,
    pub(crate) has_factor: bool,
    pub(crate) limited: bool,
    /// What their permission on a service contains.
    pub(crate) grants: BTreeMap<ServiceId, Set>,
}

/// A role, and what it contains.
#[derive(Clone, Copy)]
pub(crate) struct Role(pub(crate) &'static str, Set);

impl Role {
    pub(crate) fn of(name: &'static str) -> Self {
        Self(name, BOOK.role(name))
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Owner {
    /// A person, by their place.
    Person(usize),
    /// The customer, with this role.
    Customer(Role),
}

#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) id: TokenId,
    pub(crate) digest: Digest,
    pub(crate) owner: Owner,
    /// The actions of the scope chosen when it was made.
    pub(crate) ceiling: Set,
    pub(crate) scope: String,
    /// None: all of them.
    pub(crate) services: Option<Vec<ServiceId>>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) revoked: bool,
    /// For a flaw: the role of the owner when it was made, and the owner before a conversion.
    pub(crate) role_then: Role,
    pub(crate) owner_then: Owner,
}

pub(crate) struct Model {
    pub(crate) now: Timestamp,
    pub(crate) suspended: bool,
    pub(crate) force_factor: bool,
    /// Actions that the customer switched off.
    pub(crate) off: Set,
    pub(crate) people: Vec<Person>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) services: Vec<ServiceId>,
    pub(crate) flaw: Option<Flaw>,
}

/// What a token may do: about no service, and on each service of the customer.
pub(crate) type Powers = Vec<Set>;

impl Model {
    fn is_sound(&self, flaw: Flaw) -> bool {
        self.flaw != Some(flaw)
    }

    /// Whether a token may do this now.
    pub(crate) fn may(
        &self,
        token: &Token,
        action: usize,
        service: Option<ServiceId>,
        in_sudo: bool,
    ) -> bool {
        let owner = if self.is_sound(Flaw::NoConversion) { token.owner } else { token.owner_then };
        let (person, role, action) = match owner {
            Owner::Person(place) => (Some(&self.people[place]), self.people[place].role, action),
            Owner::Customer(role) => (None, role, BOOK.for_machine[action]),
        };
        let is = |set: Set| set & 1 << action != 0;
        if person.is_none() && is(BOOK.personal) {
            return false;
        }
        if self.is_sound(Flaw::NoRevocation) && token.revoked {
            return false;
        }
        let over =
            |at: Timestamp| if self.is_sound(Flaw::LateExpiry) { at <= self.now } else { at < self.now };
        if token.expires.is_some_and(over) || (self.is_sound(Flaw::NoSuspension) && self.suspended) {
            return false;
        }
        if self.is_sound(Flaw::NoCeiling) && !is(token.ceiling) {
            return false;
        }
        let role = if self.is_sound(Flaw::RoleAtCreation) { role } else { token.role_then };
        if !is(role.1) || is(self.off) || (!in_sudo && is(BOOK.sudo)) {
            return false;
        }
        let on_listed = token.services.as_ref().is_none_or(|listed| {
            !is(BOOK.account) && service.is_none_or(|service| listed.contains(&service))
        });
        (on_listed || !self.is_sound(Flaw::NoServices))
            && service.is_none_or(|service| self.services.contains(&service))
            && person.is_none_or(|person| self.person_may(person, is, service))
    }

    /// Whether whoever is behind a token stands in no way.
    fn person_may(&self, person: &Person, is: impl Fn(Set) -> bool, service: Option<ServiceId>) -> bool {
        if self.is_sound(Flaw::NoLock) && (!person.active || person.gone) {
            return false;
        }
        let lacks = self.force_factor && !person.has_factor && self.is_sound(Flaw::NoFactor);
        if lacks && !is(BOOK.unenrolled) {
            return false;
        }
        if !person.limited || !self.is_sound(Flaw::NoReach) {
            return true;
        }
        let about_all = is(BOOK.account) && !is(BOOK.read | BOOK.own);
        let given = |service| person.grants.get(&service).is_some_and(|permission| is(*permission));
        !about_all && service.is_none_or(given)
    }

    /// Everything that a token may do now. The right to make tokens counts where it is used: as making them.
    pub(crate) fn powers(&self, token: &Token, in_sudo: bool) -> Powers {
        let actions = || (0..BOOK.actions.len()).filter(|action| *action != BOOK.mint);
        let services = std::iter::once(None).chain(self.services.iter().copied().map(Some));
        let on = |service| {
            actions()
                .filter(|action| self.may(token, *action, service, in_sudo))
                .fold(0, |set, one| set | 1 << one)
        };
        services.map(on).collect()
    }

    pub(crate) fn is_living(&self, token: &Token) -> bool {
        !token.revoked && token.expires.is_none_or(|at| self.now < at)
    }
}

/// An action that the one has and the other has not.
pub(crate) fn excess(powers: &Powers, wider: &Powers) -> Option<&'static str> {
    let more = powers.iter().zip(wider).map(|(powers, wider)| powers & !wider).find(|more| *more != 0)?;
    Some(&BOOK.actions[more.trailing_zeros() as usize].0)
}
