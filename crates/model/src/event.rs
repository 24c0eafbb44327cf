//! Events: what happened. A closed list, because the only way to commit a change is to name one of these, and because
//! gates, the audit log and notices all read them. The names are the contract's (CONTRACT §14).

use serde_json::{Value, json};

use crate::{
    id::{CustomerId, ServiceId, TokenId, UserId},
    service::Services,
};

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
    pub user: UserId,
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
    /// A customer was suspended or resumed.
    CustomerUpdate {
        /// Which.
        customer: CustomerId,
        /// Its state before.
        old: &'static str,
        /// Its state now.
        new: &'static str,
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
    /// A person's role changed.
    UserUpdate {
        /// Who.
        user: UserId,
        /// Their role before.
        old: String,
        /// Their role now.
        new: String,
    },
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
    /// A token was revoked.
    TokenDestroy {
        /// Which.
        token: TokenId,
        /// Whose it was.
        user: UserId,
        /// Its name.
        name: String,
    },
}

impl Event {
    /// The contract's name for it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CustomerCreate { .. } => "customer.create",
            Self::CustomerUpdate { .. } => "customer.update",
            Self::UserCreate { .. } => "user.create",
            Self::UserLock { .. } => "user.lock",
            Self::UserUnlock { .. } => "user.unlock",
            Self::UserUpdate { .. } => "user.update",
            Self::UserLogin { .. } => "user.login",
            Self::UserLoginFailure { .. } => "user.login_failure",
            Self::UserSudo { .. } => "user.sudo",
            Self::TwoFactorEnable { .. } => "two_factor_auth.enable",
            Self::TwoFactorDisable { .. } => "two_factor_auth.disable",
            Self::ServiceCreate { .. } => "service.create",
            Self::ServiceUpdate { .. } => "service.update",
            Self::ServiceDelete { .. } => "service.delete",
            Self::ServicePurgeAll { .. } => "service.purge_all",
            Self::Version(version) => version.kind(),
            Self::TokenCreate(_) => "token.create",
            Self::TokenDestroy { .. } => "token.destroy",
        }
    }

    /// The row it says has changed. A row and the last event about it name each other (DESIGN §4).
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::CustomerCreate { customer, .. } | Self::CustomerUpdate { customer, .. } => {
                Subject::Customer(*customer)
            }
            Self::UserCreate { user, .. }
            | Self::UserLock { user }
            | Self::UserUnlock { user }
            | Self::UserUpdate { user, .. }
            | Self::UserLogin { user, .. }
            | Self::TwoFactorEnable { user, .. }
            | Self::TwoFactorDisable { user } => Subject::User(*user),
            Self::UserLoginFailure { user, .. } => user.map_or(Subject::None, Subject::User),
            Self::ServiceCreate { service, .. }
            | Self::ServiceUpdate { service, .. }
            | Self::ServiceDelete { service, .. } => Subject::Service(*service),
            Self::Version(version) => Subject::Service(version.service),
            Self::ServicePurgeAll { .. } => Subject::None,
            Self::UserSudo { token, .. } | Self::TokenDestroy { token, .. } => Subject::Token(*token),
            Self::TokenCreate(new) => Subject::Token(new.token),
        }
    }

    /// The user it is about, where that is not the one who acts.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::TokenCreate(new) => Some(new.user),
            Self::UserSudo { user, .. } | Self::TokenDestroy { user, .. } => Some(*user),
            _ => match self.subject() {
                Subject::User(user) => Some(user),
                _ => None,
            },
        }
    }

    /// The service it is about.
    #[must_use]
    pub fn service(&self) -> Option<ServiceId> {
        match (self, self.subject()) {
            (Self::ServicePurgeAll { service }, _) => Some(*service),
            (_, Subject::Service(service)) => Some(service),
            _ => None,
        }
    }

    /// The token it is about, where that is not the one that acts.
    #[must_use]
    pub fn token(&self) -> Option<TokenId> {
        match self.subject() {
            Subject::Token(token) => Some(token),
            _ => None,
        }
    }

    /// A sentence for people.
    #[must_use]
    pub fn description(&self) -> String {
        match self {
            Self::CustomerCreate { name, .. } => format!("Customer '{name}' was created"),
            Self::CustomerUpdate { new, .. } => format!("Customer became {new}"),
            Self::UserCreate { login, role, .. } => {
                format!("User '{login}' was created with the role {role}")
            }
            Self::UserLock { .. } => "User was locked".to_owned(),
            Self::UserUnlock { .. } => "User was unlocked".to_owned(),
            Self::UserUpdate { old, new, .. } => format!("User's role was changed from {old} to {new}"),
            Self::UserLogin { .. } => "User logged in".to_owned(),
            Self::UserLoginFailure { .. } => "Login failed".to_owned(),
            Self::UserSudo { .. } => "Sudo was started".to_owned(),
            Self::TwoFactorEnable { confirmed: true, .. } => {
                "Two-factor authentication was enabled".to_owned()
            }
            Self::TwoFactorEnable { .. } => "Two-factor authentication waits for its first code".to_owned(),
            Self::TwoFactorDisable { .. } => "Two-factor authentication was disabled".to_owned(),
            Self::ServiceCreate { name, .. } => format!("Service '{name}' was created"),
            Self::ServiceUpdate { .. } => "Service was updated".to_owned(),
            Self::ServiceDelete { name, .. } => format!("Service '{name}' was deleted"),
            Self::ServicePurgeAll { .. } => "Everything was purged".to_owned(),
            Self::Version(version) => version.description(),
            Self::TokenCreate(new) => format!("Token '{}' was created", new.name),
            Self::TokenDestroy { name, .. } => format!("Token '{name}' was revoked"),
        }
    }

    /// The details, old and new, without secrets.
    #[must_use]
    pub fn metadata(&self) -> Value {
        match self {
            Self::CustomerCreate { name, .. } => json!({ "name": name }),
            Self::CustomerUpdate { old, new, .. } => {
                json!({ "old": { "state": old }, "new": { "state": new } })
            }
            Self::UserCreate { login, role, .. } => json!({ "login": login, "role": role }),
            Self::UserUpdate { old, new, .. } => json!({ "old": { "role": old }, "new": { "role": new } }),
            Self::UserLogin { factor, .. } => factor.metadata(),
            Self::UserLoginFailure { why, login_tag, .. } => match login_tag {
                Some(tag) => json!({ "reason": why.as_str(), "login_tag": tag }),
                None => json!({ "reason": why.as_str() }),
            },
            Self::UserSudo { token, .. } => json!({ "token_id": token }),
            Self::TwoFactorEnable { confirmed, .. } => json!({ "confirmed": confirmed }),
            Self::ServiceCreate { name, .. } | Self::ServiceDelete { name, .. } => json!({ "name": name }),
            Self::ServiceUpdate { old, new, .. } => json!({ "old": old, "new": new }),
            Self::Version(version) => version.metadata(),
            Self::TokenCreate(new) => new.metadata(),
            Self::TokenDestroy { token, name, .. } => json!({ "token_id": token, "name": name }),
            Self::UserLock { .. }
            | Self::UserUnlock { .. }
            | Self::TwoFactorDisable { .. }
            | Self::ServicePurgeAll { .. } => json!({}),
        }
    }
}

impl SecondFactor {
    fn metadata(self) -> Value {
        match self {
            Self::None => json!({ "second_factor": "none" }),
            Self::Totp => json!({ "second_factor": "totp" }),
            Self::Recovery { left } => {
                json!({ "second_factor": "recovery_code", "recovery_codes_left": left })
            }
        }
    }
}

impl NewToken {
    fn metadata(&self) -> Value {
        json!({
            "token_id": self.token,
            "name": self.name,
            "scope": self.scope,
            "services": self.services.listed(),
            "expires_at": self.expires_at,
            "created_by_token": self.parent,
        })
    }
}
