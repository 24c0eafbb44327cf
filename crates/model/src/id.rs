//! Ids: 128 random bits, written in base 62 like the contract's (CONTRACT §0.1). One type a noun, so that a user's id
//! cannot be passed where a token's is wanted.

use std::{fmt, hash::Hash, marker::PhantomData, str::FromStr};

use crate::base62;

/// The id of one `N`. Written in base 62 without leading zeros: 22 characters, sometimes fewer.
pub struct Id<N>(u128, PhantomData<fn() -> N>);

/// Names the noun of an [`Id`] for messages.
pub trait Noun {
    /// The word of DESIGN.md §1.
    const NAME: &'static str;
}

/// Marks an id as a customer's.
pub enum Customer {}
/// Marks an id as a user's.
pub enum User {}
/// Marks an id as a service's.
pub enum Service {}
/// Marks an id as a token's.
pub enum Token {}
/// Marks an id as an event's.
pub enum Event {}
/// Marks an id as an invitation's.
pub enum Invitation {}
/// Marks an id as a policy's.
pub enum Policy {}
/// Marks an id as a mass revoke's.
pub enum MassRevoke {}
/// Marks an id as a service authorisation's.
pub enum Authorization {}

impl Noun for Customer {
    const NAME: &'static str = "customer";
}
impl Noun for User {
    const NAME: &'static str = "user";
}
impl Noun for Service {
    const NAME: &'static str = "service";
}
impl Noun for Token {
    const NAME: &'static str = "token";
}
impl Noun for Event {
    const NAME: &'static str = "event";
}
impl Noun for Invitation {
    const NAME: &'static str = "invitation";
}
impl Noun for Policy {
    const NAME: &'static str = "policy";
}
impl Noun for MassRevoke {
    const NAME: &'static str = "mass_revoke";
}
impl Noun for Authorization {
    /// As the contract's answer writes it (CONTRACT §17).
    const NAME: &'static str = "serviceauthorization";
}

/// A customer's id.
pub type CustomerId = Id<Customer>;
/// A user's id.
pub type UserId = Id<User>;
/// A service's id.
pub type ServiceId = Id<Service>;
/// A token's id. Not a secret.
pub type TokenId = Id<Token>;
/// An event's id.
pub type EventId = Id<Event>;
/// An invitation's id. Not the code that accepts it.
pub type InvitationId = Id<Invitation>;
/// The id of a protected API's policy.
pub type PolicyId = Id<Policy>;
/// A mass revoke's id.
pub type MassRevokeId = Id<MassRevoke>;
/// The id of what one person may do on one service.
pub type AuthorizationId = Id<Authorization>;

/// The text is not an id in its one spelling. What it names cannot exist, so callers answer as for a missing one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an id: 1 to 22 base-62 characters are")]
pub struct NotAnId;

impl<N> Id<N> {
    /// The id made of these bits; draw them at random.
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits, PhantomData)
    }

    /// The bits, for storage and the replica.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// The 16 bytes that the database keeps.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The id that these 16 bytes are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_bits(u128::from_be_bytes(bytes))
    }
}

impl<N> FromStr for Id<N> {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        base62::decode(text).map(Self::from_bits).ok_or(NotAnId)
    }
}

impl<N> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&base62::encode(self.0))
    }
}

impl<N: Noun> fmt::Debug for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", N::NAME)
    }
}

impl<N> Clone for Id<N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<N> Copy for Id<N> {}
impl<N> PartialEq for Id<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<N> Eq for Id<N> {}
impl<N> PartialOrd for Id<N> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<N> Ord for Id<N> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<N> Hash for Id<N> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<'de, N> serde::Deserialize<'de> for Id<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
impl<N> serde::Serialize for Id<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
