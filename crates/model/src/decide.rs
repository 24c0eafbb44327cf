//! The law: the one function that decides (DESIGN §3). Every carrier, every adapter, every handler ends here.

use crate::{
    action::{Action, ActionSet},
    customer::CustomerState,
    id::{CustomerId, ServiceId, TokenId},
    permit::{Actor, Permit},
    policy::Policy,
    service::Services,
    time::{Expiry, Timestamp},
    token::Malformed,
    user::UserState,
};

/// What is true of a credential now.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// The token.
    pub token: TokenId,
    /// Who acts with it.
    pub actor: Actor,
    /// Whose it is.
    pub customer: CustomerId,
    /// The ceiling chosen when it was made.
    pub scope: ActionSet,
    /// What the role of its owner allows today.
    pub role: ActionSet,
    /// What it is limited to.
    pub services: &'a Services,
    /// Until when it is alive.
    pub expires: Expiry,
    /// Until when sudo lasts on it.
    pub sudo_until: Option<Timestamp>,
    /// Whether its owner may act; an automation token's owner is its customer, and so active here.
    pub owner_state: UserState,
    /// Whether its customer may act.
    pub customer_state: CustomerState,
    /// What the one who looked this up is not sure of.
    pub unsure: Option<Unsure>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// To do this …
    pub action: Action,
    /// … to this service, if the ask is about one.
    pub service: Option<WantedService>,
}

/// A service that an ask names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedService {
    /// It exists and is this customer's.
    Known(ServiceId, CustomerId),
    /// There is no such service.
    Unknown,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, and here is the proof.
    Allow(Permit),
    /// No.
    Deny(Deny),
    /// Not known well enough to say either. Refused with 503.
    CannotTell(Unsure),
}

/// Why not. [`Deny::code`] is part of the contract with clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deny {
    /// No credential was shown.
    Missing,
    /// More than one was.
    Multiple,
    /// It was shown where it ends up in logs.
    InUrl,
    /// Another scheme of `Authorization` than `Bearer`.
    Scheme,
    /// It cannot be a secret of ours.
    Malformed(Malformed),
    /// It can be, and is none.
    Unknown,
    /// A kind of token that this door does not take.
    Kind,
    /// Its time is over.
    Expired {
        /// Which token.
        token: TokenId,
        /// Since when.
        at: Timestamp,
    },
    /// Its owner is locked or gone.
    OwnerDisabled,
    /// Its customer is suspended.
    CustomerSuspended,
    /// It may only read, and this is no reading.
    ReadOnly(Action),
    /// Its scope does not contain the action.
    Scope(Action),
    /// Its owner's role does not contain the action.
    Role(Action),
    /// It is limited to services, and this is about the whole account.
    Account(Action),
    /// No such service in this customer.
    ServiceUnknown,
    /// The service is not among those it is limited to.
    Service(ServiceId),
    /// A password is needed first.
    Sudo,
    /// No route of the policy matches.
    NoRoute,
    /// The path can be read in two ways.
    AmbiguousPath,
    /// The request asks for another method than its own.
    MethodOverride,
}

impl Deny {
    /// The stable word for it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "credential_missing",
            Self::Multiple => "multiple_credentials",
            Self::InUrl => "credential_in_url",
            Self::Scheme => "scheme_not_supported",
            Self::Malformed(_) => "token_malformed",
            Self::Unknown => "token_unknown",
            Self::Kind => "token_type_not_allowed",
            Self::Expired { .. } => "token_expired",
            Self::OwnerDisabled => "owner_disabled",
            Self::CustomerSuspended => "tenant_suspended",
            Self::ReadOnly(_) => "read_only",
            Self::Scope(_) => "insufficient_scope",
            Self::Role(_) => "insufficient_role",
            Self::Account(_) => "service_limited",
            Self::ServiceUnknown => "service_not_found",
            Self::Service(_) => "service_not_granted",
            Self::Sudo => "sudo_required",
            Self::NoRoute => "no_rule",
            Self::AmbiguousPath => "ambiguous_path",
            Self::MethodOverride => "method_override_refused",
        }
    }
}

/// Why it cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsure {
    /// The replica has not been loaded, or has not heard from the authority for too long.
    Stale,
    /// The token names an owner or customer that the replica lacks.
    OwnerMissing,
    /// The proxy does not say what it was asked for.
    ProxyMisconfigured,
    /// A scope or role that this policy does not define: written by another version, or another policy.
    Unsupported,
}

impl Unsure {
    /// The stable word for it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Stale => "authority_stale",
            Self::OwnerMissing => "owner_missing",
            Self::ProxyMisconfigured => "proxy_misconfigured",
            Self::Unsupported => "record_unsupported",
        }
    }
}

/// Decides from what is true now:
///
/// ```text
/// authority = actions(scope) ∩ actions(role of the owner now) ∩ services listed ∩ customer, owner, expiry, sudo
/// ```
#[must_use]
pub fn decide(policy: &Policy, standing: &Standing<'_>, want: &Want, now: Timestamp) -> Verdict {
    if let Some(unsure) = standing.unsure {
        return Verdict::CannotTell(unsure);
    }
    let service = match alive(standing, now)
        .and_then(|()| granted(policy, standing, want.action))
        .and_then(|()| reachable(standing, want.service))
    {
        Ok(service) => service,
        Err(deny) => return Verdict::Deny(deny),
    };
    let in_sudo = standing.sudo_until.is_some_and(|until| now < until);
    if policy.needs_sudo(want.action) && !in_sudo {
        return Verdict::Deny(Deny::Sudo);
    }
    Verdict::Allow(Permit::granted(standing.actor, want.action, standing.customer, service))
}

/// The credential, its owner and its customer may act at all.
fn alive(standing: &Standing<'_>, now: Timestamp) -> Result<(), Deny> {
    if let Expiry::At(at) = standing.expires
        && !standing.expires.is_alive(now)
    {
        return Err(Deny::Expired { token: standing.token, at });
    }
    if standing.customer_state != CustomerState::Active {
        return Err(Deny::CustomerSuspended);
    }
    if standing.owner_state != UserState::Active {
        return Err(Deny::OwnerDisabled);
    }
    Ok(())
}

/// Scope and role both contain the action.
fn granted(policy: &Policy, standing: &Standing<'_>, action: Action) -> Result<(), Deny> {
    if !standing.scope.contains(action) {
        let may_read_all = policy.reads().minus(standing.scope).is_empty();
        return Err(if may_read_all { Deny::ReadOnly(action) } else { Deny::Scope(action) });
    }
    if !standing.role.contains(action) {
        return Err(Deny::Role(action));
    }
    if standing.services.is_limited() && policy.is_account_wide(action) {
        return Err(Deny::Account(action));
    }
    Ok(())
}

/// The service exists, belongs to the same customer, and is listed if there is a list. Foreign is the same as missing.
fn reachable(standing: &Standing<'_>, wanted: Option<WantedService>) -> Result<Option<ServiceId>, Deny> {
    match wanted {
        None => Ok(None),
        Some(WantedService::Known(id, customer)) if customer == standing.customer => {
            if standing.services.contains(id) { Ok(Some(id)) } else { Err(Deny::Service(id)) }
        }
        Some(WantedService::Known(..) | WantedService::Unknown) => Err(Deny::ServiceUnknown),
    }
}
