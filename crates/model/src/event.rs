//! Events: what happened. A closed list, because the only way to commit a change is to name one of these, and because
//! gates, the audit log and notices all read them. The names are the contract's (CONTRACT §14).

use serde_json::Value;

use crate::{
    authorization::Permission,
    id::{AuthorizationId, CustomerId, InvitationId, MassRevokeId, PolicyId, ServiceId, TokenId, UserId},
    record::Owner,
    service::Services,
};

pub mod policy;
mod tell;
pub mod version;

/// The sequence number of an event. Order of positions = order of commits, always; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub i64);

impl Position {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The one row that an event says has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// No row: something was done that leaves no state.
    None,
    /// A customer.
    Customer(CustomerId),
    /// A user.
    User(UserId),
    /// A service.
    Service(ServiceId),
    /// A token.
    Token(TokenId),
    /// An invitation.
    Invitation(InvitationId),
    /// The policy of a protected API.
    Policy(PolicyId),
    /// A mass revoke.
    MassRevoke(MassRevokeId),
}

/// Why a login failed. Ends up in the audit log, never in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFailure {
    /// Nobody has this login.
    UnknownLogin,
    /// The password is another.
    Password,
    /// The one-time code is wrong, or from another time.
    Code,
    /// The one-time code was used before.
    CodeReused,
    /// The one-time code is not six digits.
    CodeMalformed,
    /// The second factor is locked after too many failures.
    FactorLocked,
    /// The account is locked or gone.
    Disabled,
}

impl LoginFailure {
    /// The word in the event's metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownLogin => "unknown_login",
            Self::Password => "password",
            Self::Code => "one_time_code",
            Self::CodeReused => "one_time_code_reused",
            Self::CodeMalformed => "one_time_code_malformed",
            Self::FactorLocked => "factor_locked",
            Self::Disabled => "disabled",
        }
    }
}

/// How a person proved a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// None was asked for.
    None,
    /// A code of the authenticator.
    Totp,
    /// A recovery code; this many are left.
    Recovery {
        /// How many are left.
        left: usize,
    },
}

/// What is told of a token when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Which.
    pub token: TokenId,
    /// Bound to whom.
    pub owner: Owner,
    /// The person who made it, or who made the token that made it.
    pub creator: Option<UserId>,
    /// What for.
    pub name: String,
    /// Its scopes, separated by a space.
    pub scope: String,
    /// What it is limited to.
    pub services: Services,
    /// RFC 3339, or "never".
    pub expires_at: String,
    /// The token that asked for it; none where a password did.
    pub parent: Option<TokenId>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A customer was made.
    CustomerCreate {
        /// Which.
        customer: CustomerId,
        /// Its name.
        name: String,
    },
    /// A customer was changed.
    CustomerUpdate {
        /// Which.
        customer: CustomerId,
        /// Changed fields, before.
        old: Value,
        /// Changed fields, now.
        new: Value,
    },
    /// A person was added.
    UserCreate {
        /// Who.
        user: UserId,
        /// Their login.
        login: String,
        /// Their role.
        role: String,
    },
    /// A person was locked.
    UserLock {
        /// Who.
        user: UserId,
    },
    /// A person was unlocked.
    UserUnlock {
        /// Who.
        user: UserId,
    },
    /// A person was changed.
    UserUpdate {
        /// Who.
        user: UserId,
        /// Changed fields, before.
        old: Value,
        /// Changed fields, now.
        new: Value,
        /// Whether they may do more now.
        promoted: bool,
    },
    /// A person was removed.
    UserDestroy {
        /// Who.
        user: UserId,
        /// Their login.
        login: String,
    },
    /// A person has another password.
    UserPasswordUpdate {
        /// Who.
        user: UserId,
    },
    /// A link that sets a new password was asked for.
    UserPasswordReset {
        /// For whom; nobody, if nobody has the login.
        user: Option<UserId>,
    },
    /// Somebody was invited.
    InvitationSent {
        /// The invitation.
        invitation: InvitationId,
        /// Whom.
        email: String,
        /// To which role.
        role: String,
    },
    /// An invitation was taken up.
    InvitationAccept {
        /// The invitation.
        invitation: InvitationId,
        /// Who came of it.
        user: UserId,
    },
    /// An invitation was taken back.
    InvitationDelete {
        /// The invitation.
        invitation: InvitationId,
        /// Who had been invited.
        email: String,
    },
    /// A person may do something on a service.
    AuthorizationCreate(Granted),
    /// What a person may do on a service changed.
    AuthorizationUpdate {
        /// What they may do now.
        now: Granted,
        /// What they might do before.
        old: Permission,
    },
    /// A person may do nothing on a service any more, by this.
    AuthorizationDelete(Granted),
    /// A person showed their password, and their second factor if they have one.
    UserLogin {
        /// Who.
        user: UserId,
        /// With what.
        factor: SecondFactor,
    },
    /// Somebody failed to.
    UserLoginFailure {
        /// Whose login it was, if anybody's.
        user: Option<UserId>,
        /// Why.
        why: LoginFailure,
        /// For a login that nobody has: a keyed hash of it. People type passwords there, so never the text.
        login_tag: Option<String>,
    },
    /// Sudo was started on a token.
    UserSudo {
        /// By whom.
        user: UserId,
        /// On which.
        token: TokenId,
    },
    /// A second factor was set up, or waits for its first code.
    TwoFactorEnable {
        /// Whose.
        user: UserId,
        /// Whether it is in force, or waits for a code.
        confirmed: bool,
    },
    /// A second factor was taken away.
    TwoFactorDisable {
        /// Whose.
        user: UserId,
    },
    /// A service was made.
    ServiceCreate {
        /// Which.
        service: ServiceId,
        /// Its name.
        name: String,
    },
    /// A service was changed.
    ServiceUpdate {
        /// Which.
        service: ServiceId,
        /// Changed fields, before.
        old: Value,
        /// Changed fields, now.
        new: Value,
    },
    /// A service was deleted.
    ServiceDelete {
        /// Which.
        service: ServiceId,
        /// Its name.
        name: String,
    },
    /// Everything of a service was purged from its caches.
    ServicePurgeAll {
        /// Which.
        service: ServiceId,
    },
    /// A version of a service was made or changed.
    Version(version::VersionEvent),
    /// A token was made.
    TokenCreate(NewToken),
    /// An existing API key was taken over as a token.
    ApiKeyCreate(NewToken),
    /// A person's token became an automation token, with the same secret.
    TokenConvert {
        /// What it is now.
        now: NewToken,
        /// Whose it was.
        user: UserId,
    },
    /// A token was revoked.
    TokenDestroy {
        /// Which.
        token: TokenId,
        /// Bound to whom it was; none for an automation token.
        user: Option<UserId>,
        /// Its name.
        name: String,
        /// The mass revoke that took it back before: its event said so for all of its tokens, this one notes it in the row.
        by: Option<MassRevokeId>,
    },
    /// Tokens were revoked, all at once.
    MassRevoke {
        /// Which mass revoke.
        id: MassRevokeId,
        /// Which tokens were meant.
        targets: Value,
        /// How many there were.
        tokens: u64,
    },
    /// Every token of a mass revoke has an event of its own now.
    MassRevokeNoted {
        /// Which mass revoke.
        id: MassRevokeId,
        /// How many there were.
        tokens: u64,
    },
    /// The operator has accepted that what was acknowledged may be lost: gates follow this record again.
    EpochRaise {
        /// The epoch that begins.
        epoch: u64,
        /// The last position that is known to have been seen, where that is more than there is now.
        seen: Option<Position>,
    },
    /// The policy of a protected API was applied, changed or taken back.
    Policy(policy::PolicyEvent),
    /// A token was used whose owner is locked or gone. Told now and then, not for every request.
    TokenOwnerDisabled {
        /// Which.
        token: TokenId,
        /// Whose it is.
        user: Option<UserId>,
    },
}

/// What one person may do on one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The authorisation's id.
    pub authorization: AuthorizationId,
    /// Who.
    pub user: UserId,
    /// Where.
    pub service: ServiceId,
    /// What.
    pub permission: Permission,
}
