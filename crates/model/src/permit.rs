//! Proof that the law said yes. The authority's verbs take one, so a caller who did not ask cannot call.

use std::time::Duration;

use crate::{
    action::Action,
    id::{CustomerId, ServiceId, TokenId, UserId},
};

/// Who is acting. Ends up in every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Whoever holds the database and its key file: the operator at the command line.
    Operator {
        /// In whose house, if in anybody's.
        customer: Option<CustomerId>,
    },
    /// A person who has shown a password, and has no token yet.
    Person {
        /// Whose password.
        user: UserId,
        /// Theirs.
        customer: CustomerId,
    },
    /// A token.
    Token {
        /// Which.
        token: TokenId,
        /// The customer it belongs to.
        customer: CustomerId,
        /// The user it is bound to; none for an automation token.
        user: Option<UserId>,
    },
    /// Somebody who has shown nothing.
    Stranger,
}

/// That `actor` may do `action` now, on `service` if the ask was about one. Only [`crate::decide()`] makes one, and
/// [`Permit::of_the_operator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    actor: Actor,
    grant: Grant,
    customer: CustomerId,
    service: Option<ServiceId>,
    stale: Option<Duration>,
}

/// What a permit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grant {
    /// All: the operator's.
    All,
    /// This.
    Action(Action),
    /// What is public. It proves nothing.
    Public,
}

/// The permit is for something else. A mistake in Keygate, never the caller's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a verb was called with a permit for another action")]
pub struct WrongPermit;

impl Permit {
    pub(crate) fn granted(
        actor: Actor,
        action: Action,
        customer: CustomerId,
        service: Option<ServiceId>,
    ) -> Self {
        Self { actor, grant: Grant::Action(action), customer, service, stale: None }
    }

    /// That anybody may pass where a policy says that the route is public. In nobody's house.
    #[must_use]
    pub fn public() -> Self {
        Self {
            actor: Actor::Stranger,
            grant: Grant::Public,
            customer: CustomerId::from_bits(0),
            service: None,
            stale: None,
        }
    }

    /// What the command line acts with. Holding the database and the key file is the permission; nothing that a
    /// network can reach may call this (a test holds that).
    #[must_use]
    pub fn of_the_operator(customer: CustomerId) -> Self {
        Self {
            actor: Actor::Operator { customer: Some(customer) },
            grant: Grant::All,
            customer,
            service: None,
            stale: None,
        }
    }

    /// The same, from knowledge of this age, which serves only because an operator has said so.
    pub(crate) fn stale_for(self, age: Duration) -> Self {
        Self { stale: Some(age), ..self }
    }

    /// How old the knowledge is that this was decided by, if it is older than it should be. None: it is current.
    #[must_use]
    pub fn stale(&self) -> Option<Duration> {
        self.stale
    }

    /// Checks that this permit is for `action`.
    ///
    /// # Errors
    /// [`WrongPermit`] if it is for another one.
    pub fn proves(&self, action: Action) -> Result<(), WrongPermit> {
        self.proves_one_of(&[action])
    }

    /// Checks that this permit is for one of `actions`: for verbs that several routes lead to.
    ///
    /// # Errors
    /// [`WrongPermit`] if it is for another one.
    pub fn proves_one_of(&self, actions: &[Action]) -> Result<(), WrongPermit> {
        match self.grant {
            Grant::All => Ok(()),
            Grant::Action(granted) if actions.contains(&granted) => Ok(()),
            Grant::Action(_) | Grant::Public => Err(WrongPermit),
        }
    }

    /// Checks that this is the operator's permit, for verbs that no route leads to.
    ///
    /// # Errors
    /// [`WrongPermit`] for anybody else's.
    pub fn is_the_operators(&self) -> Result<(), WrongPermit> {
        if self.grant == Grant::All { Ok(()) } else { Err(WrongPermit) }
    }

    /// Who may.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// In whose house: everything a permit reaches belongs to this customer.
    #[must_use]
    pub fn customer(&self) -> CustomerId {
        self.customer
    }

    /// The service that was asked about.
    #[must_use]
    pub fn service(&self) -> Option<ServiceId> {
        self.service
    }
}
