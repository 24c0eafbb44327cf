//! How events read: the contract's names, sentences, details.

use serde_json::{Value, json};

use super::{Event, Granted, NewToken, SecondFactor, Subject};
use crate::{
    id::{ServiceId, TokenId, UserId},
    record::Owner,
};

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
            Self::UserUpdate { promoted: true, .. } => "user.promote",
            Self::UserUpdate { .. } => "user.update",
            Self::UserDestroy { .. } => "user.destroy",
            Self::UserPasswordUpdate { .. } => "user.password_update",
            Self::UserPasswordReset { .. } => "user.password_reset",
            Self::InvitationSent { .. } => "invitation.sent",
            Self::InvitationAccept { .. } => "invitation.accept",
            Self::InvitationDelete { .. } => "invitation.delete",
            Self::AuthorizationCreate(_) => "service_authorization.create",
            Self::AuthorizationUpdate { .. } => "service_authorization.update",
            Self::AuthorizationDelete(_) => "service_authorization.delete",
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
            Self::Policy(policy) => policy.kind(),
            Self::TokenCreate(_) => "token.create",
            Self::ApiKeyCreate(_) => "api_key.create",
            Self::TokenConvert { .. } => "token.convert",
            Self::TokenDestroy { .. } => "token.destroy",
            Self::MassRevoke { .. } => "token.mass_revoke",
            Self::MassRevokeNoted { .. } => "token.mass_revoke_noted",
            Self::EpochRaise { .. } => "epoch.raise",
            Self::TokenOwnerDisabled { .. } => "token.owner_disabled",
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
            | Self::UserDestroy { user, .. }
            | Self::UserPasswordUpdate { user }
            | Self::UserLogin { user, .. }
            | Self::TwoFactorEnable { user, .. }
            | Self::TwoFactorDisable { user } => Subject::User(*user),
            Self::UserLoginFailure { user, .. } | Self::UserPasswordReset { user } => {
                user.map_or(Subject::None, Subject::User)
            }
            Self::ServiceCreate { service, .. }
            | Self::ServiceUpdate { service, .. }
            | Self::ServiceDelete { service, .. } => Subject::Service(*service),
            Self::InvitationSent { invitation, .. }
            | Self::InvitationAccept { invitation, .. }
            | Self::InvitationDelete { invitation, .. } => Subject::Invitation(*invitation),
            Self::Version(version) => Subject::Service(version.service),
            Self::Policy(policy) => Subject::Policy(policy.policy),
            // What a person may do on services is kept with the person.
            Self::AuthorizationCreate(granted)
            | Self::AuthorizationUpdate { now: granted, .. }
            | Self::AuthorizationDelete(granted) => Subject::User(granted.user),
            Self::ServicePurgeAll { .. } | Self::TokenOwnerDisabled { .. } | Self::EpochRaise { .. } => {
                Subject::None
            }
            Self::MassRevoke { id, .. } | Self::MassRevokeNoted { id, .. } => Subject::MassRevoke(*id),
            Self::UserSudo { token, .. } | Self::TokenDestroy { token, .. } => Subject::Token(*token),
            Self::TokenCreate(new) | Self::ApiKeyCreate(new) | Self::TokenConvert { now: new, .. } => {
                Subject::Token(new.token)
            }
        }
    }

    /// The user it is about, where that is not the one who acts.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::TokenCreate(new) | Self::ApiKeyCreate(new) => match new.owner {
                Owner::User(user) => Some(user),
                Owner::Customer { .. } => None,
            },
            Self::TokenDestroy { user, .. } | Self::TokenOwnerDisabled { user, .. } => *user,
            Self::UserSudo { user, .. }
            | Self::TokenConvert { user, .. }
            | Self::InvitationAccept { user, .. } => Some(*user),
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
            (
                Self::AuthorizationCreate(granted)
                | Self::AuthorizationUpdate { now: granted, .. }
                | Self::AuthorizationDelete(granted),
                _,
            ) => Some(granted.service),
            (_, Subject::Service(service)) => Some(service),
            _ => None,
        }
    }

    /// The token it is about, where that is not the one that acts.
    #[must_use]
    pub fn token(&self) -> Option<TokenId> {
        match (self, self.subject()) {
            (Self::TokenOwnerDisabled { token, .. }, _) => Some(*token),
            (_, Subject::Token(token)) => Some(token),
            _ => None,
        }
    }

    /// A sentence for people.
    #[must_use]
    pub fn description(&self) -> String {
        match self {
            Self::CustomerCreate { name, .. } => format!("Customer '{name}' was created"),
            Self::CustomerUpdate { new, .. } => format!("Customer was updated: {}", fields(new)),
            Self::UserCreate { login, role, .. } => {
                format!("User '{login}' was created with the role {role}")
            }
            Self::UserLock { .. } => "User was locked".to_owned(),
            Self::UserUnlock { .. } => "User was unlocked".to_owned(),
            Self::UserUpdate { new, .. } => format!("User was updated: {}", fields(new)),
            Self::UserDestroy { login, .. } => format!("User '{login}' was removed"),
            Self::UserPasswordUpdate { .. } => "User's password was changed".to_owned(),
            Self::UserPasswordReset { .. } => "A link for a new password was asked for".to_owned(),
            Self::InvitationSent { email, role, .. } => {
                format!("'{email}' was invited with the role {role}")
            }
            Self::InvitationAccept { .. } => "An invitation was accepted".to_owned(),
            Self::InvitationDelete { email, .. } => format!("The invitation of '{email}' was taken back"),
            Self::AuthorizationCreate(granted) => {
                format!("User was given {} on a service", granted.permission.as_str())
            }
            Self::AuthorizationUpdate { now, old } => {
                format!("User has {} instead of {} on a service", now.permission.as_str(), old.as_str())
            }
            Self::AuthorizationDelete(granted) => {
                format!("User lost {} on a service", granted.permission.as_str())
            }
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
            Self::Policy(policy) => policy.description(),
            Self::TokenCreate(new) => format!("Token '{}' was created", new.name),
            Self::ApiKeyCreate(new) => format!("API key '{}' was imported", new.name),
            Self::TokenConvert { now, .. } => format!("Token '{}' became an automation token", now.name),
            Self::TokenDestroy { name, .. } => format!("Token '{name}' was revoked"),
            Self::MassRevoke { tokens, .. } => format!("{tokens} tokens were revoked at once"),
            Self::MassRevokeNoted { tokens, .. } => {
                format!("The {tokens} tokens of a mass revoke have an event each")
            }
            Self::EpochRaise { epoch, .. } => format!("Epoch {epoch} was begun: what came after is lost"),
            Self::TokenOwnerDisabled { .. } => "A token of somebody locked or gone was used".to_owned(),
        }
    }

    /// The details, old and new, without secrets.
    #[must_use]
    pub fn metadata(&self) -> Value {
        match self {
            Self::CustomerCreate { name, .. } => json!({ "name": name }),
            Self::CustomerUpdate { old, new, .. }
            | Self::UserUpdate { old, new, .. }
            | Self::ServiceUpdate { old, new, .. } => json!({ "old": old, "new": new }),
            Self::UserCreate { login, role, .. } => json!({ "login": login, "role": role }),
            Self::UserDestroy { login, .. } => json!({ "login": login }),
            Self::InvitationSent { invitation, email, role } => {
                json!({ "invitation_id": invitation, "email": email, "role": role })
            }
            Self::InvitationAccept { invitation, .. } => json!({ "invitation_id": invitation }),
            Self::InvitationDelete { invitation, email } => {
                json!({ "invitation_id": invitation, "email": email })
            }
            Self::AuthorizationCreate(granted) | Self::AuthorizationDelete(granted) => granted.metadata(),
            Self::AuthorizationUpdate { now, old } => json!({
                "service_authorization_id": now.authorization,
                "old": { "permission": old.as_str() },
                "new": { "permission": now.permission.as_str() },
            }),
            Self::UserLogin { factor, .. } => factor.metadata(),
            Self::UserLoginFailure { why, login_tag, .. } => match login_tag {
                Some(tag) => json!({ "reason": why.as_str(), "login_tag": tag }),
                None => json!({ "reason": why.as_str() }),
            },
            Self::UserSudo { token, .. } => json!({ "token_id": token }),
            Self::TwoFactorEnable { confirmed, .. } => json!({ "confirmed": confirmed }),
            Self::ServiceCreate { name, .. } | Self::ServiceDelete { name, .. } => json!({ "name": name }),
            Self::Version(version) => version.metadata(),
            Self::Policy(policy) => policy.metadata(),
            Self::TokenCreate(new) | Self::ApiKeyCreate(new) => new.metadata(),
            Self::TokenConvert { now, user } => json!({ "old": { "user_id": user }, "new": now.metadata() }),
            Self::TokenDestroy { token, name, by: None, .. } => json!({ "token_id": token, "name": name }),
            Self::TokenDestroy { token, name, by: Some(by), .. } => {
                json!({ "token_id": token, "name": name, "mass_revoke_id": by })
            }
            Self::MassRevoke { id, targets, tokens } => {
                json!({ "mass_revoke_id": id, "targets": targets, "tokens": tokens })
            }
            Self::MassRevokeNoted { id, tokens } => json!({ "mass_revoke_id": id, "tokens": tokens }),
            Self::EpochRaise { epoch, seen } => {
                json!({ "epoch": epoch, "last_position_seen": seen.map(|seen| seen.0) })
            }
            Self::TokenOwnerDisabled { token, .. } => json!({ "token_id": token }),
            Self::UserPasswordUpdate { .. }
            | Self::UserPasswordReset { .. }
            | Self::UserLock { .. }
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
            "role": match &self.owner {
                Owner::User(_) => None,
                Owner::Customer { role } => Some(role),
            },
            "creator_id": self.creator,
            "created_by_token": self.parent,
        })
    }
}

impl Granted {
    fn metadata(&self) -> Value {
        json!({ "service_authorization_id": self.authorization, "permission": self.permission.as_str() })
    }
}

/// The names of changed fields, for a sentence.
fn fields(changed: &Value) -> String {
    let names = changed.as_object().map(|fields| fields.keys().map(String::as_str).collect::<Vec<_>>());
    names.unwrap_or_default().join(", ")
}
