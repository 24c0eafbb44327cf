//! What a gate needs to know: the records that the authority feeds and the replica keeps. Both rooms speak these and
//! neither knows the other.

use crate::{
    authorization::Reach,
    customer::{CustomerState, Rules},
    event::{Position, Subject},
    id::{CustomerId, MassRevokeId, PolicyId, ServiceId, TokenId, UserId},
    service::Services,
    time::{Expiry, Timestamp},
    token::Digest,
    user::UserState,
};

/// What is true of one thing now. Later records of the same thing replace earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A customer.
    Customer(CustomerRecord),
    /// A user.
    User(UserRecord),
    /// A service.
    Service(ServiceRecord),
    /// A token.
    Token(TokenRecord),
    /// The policy of a protected API.
    Policy(PolicyRecord),
    /// Tokens that are revoked.
    Revoked(RevokedRecord),
    /// Its row fails its seal: nothing that was said about it may be believed any more. Of [`Subject::None`]: the log of
    /// events itself is broken, and nothing at all may be.
    Broken(Subject),
}

/// A customer, for deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerRecord {
    /// Which.
    pub id: CustomerId,
    /// Whether its tokens may act.
    pub state: CustomerState,
    /// What it rules for all of them.
    pub rules: Rules,
}

/// A user, for deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// Which.
    pub id: UserId,
    /// Whose.
    pub customer: CustomerId,
    /// The role's name in the policy.
    pub role: String,
    /// Whether their tokens may act.
    pub state: UserState,
    /// The services they reach.
    pub reach: Reach,
    /// Whether they have a second factor in force.
    pub has_factor: bool,
}

/// A service, for deciding: whose it is. Deleted ones stay, so that their ids are answered as deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    /// Which.
    pub id: ServiceId,
    /// Whose.
    pub customer: CustomerId,
}

/// A token, for deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Which.
    pub id: TokenId,
    /// What its secret hashes to.
    pub digest: Digest,
    /// Whose.
    pub customer: CustomerId,
    /// Bound to whom.
    pub owner: Owner,
    /// The names of its scopes, separated by a space.
    pub scope: String,
    /// What it is limited to.
    pub services: Services,
    /// Until when.
    pub expires: Expiry,
    /// Until when sudo lasts on it, if it was started.
    pub sudo_until: Option<Timestamp>,
    /// Whether its secret was made elsewhere and may look like anything.
    pub foreign: bool,
    /// A revoked token leaves the replica: it holds only what may be allowed.
    pub revoked: bool,
}

/// Tokens of one customer that were revoked together: all, or some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedRecord {
    /// By which mass revoke.
    pub by: MassRevokeId,
    /// Whose they were.
    pub customer: CustomerId,
    /// Which, and what their secrets hash to.
    pub tokens: Vec<(TokenId, Digest)>,
}

/// The policy of a protected API, for deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRecord {
    /// Which.
    pub id: PolicyId,
    /// The file. None: it was taken back.
    pub text: Option<String>,
    /// Scopes and roles that it once defined, as `scope NAME` and `role NAME`.
    pub retired: Vec<String>,
}

/// Who a token is bound to, and so where its role comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A person: their role today.
    User(UserId),
    /// The customer: a role of its own.
    Customer {
        /// The role's name in the policy.
        role: String,
    },
}

/// What changed up to a position, in order. Applying it brings a replica there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The last event that these records reflect.
    pub position: Position,
    /// What is true now of everything those events touched.
    pub records: Vec<Record>,
}
