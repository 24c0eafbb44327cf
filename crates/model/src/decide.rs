//! The law: the one function that decides (DESIGN §3). Every carrier, every adapter, every handler ends here.

mod circumstances;
mod unsure;

use crate::{
    action::{Action, ActionSet},
    authorization::Reach,
    customer::{CustomerState, Rules},
    host::Host,
    id::{CustomerId, ServiceId, TokenId},
    permit::{Actor, Permit},
    policy::Policy,
    service::Services,
    time::{Expiry, Timestamp},
    token::Malformed,
    user::UserState,
};

pub use circumstances::Circumstances;
pub use unsure::Unsure;

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
    pub scope: &'a ActionSet,
    /// What the role of its owner allows today.
    pub role: &'a ActionSet,
    /// What it is limited to.
    pub services: &'a Services,
    /// What its owner is limited to. An automation token's owner is its customer, and limited by nothing.
    pub reach: &'a Reach,
    /// Until when it is alive.
    pub expires: Expiry,
    /// Until when sudo lasts on it.
    pub sudo_until: Option<Timestamp>,
    /// Whether its owner may act; an automation token's owner is its customer, and so active here.
    pub owner_state: UserState,
    /// Whether its customer may act.
    pub customer_state: CustomerState,
    /// What its customer rules for all of its tokens.
    pub rules: &'a Rules,
    /// Whether its owner is a person without a second factor.
    pub lacks_factor: bool,
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
    /// A machine asks for what is one person's own business.
    Machine(Action),
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
    /// It is used from outside of its customer's networks.
    Network,
    /// Its customer wants a second factor of everybody, and its owner has none.
    FactorMissing,
    /// It may only read, and this is no reading.
    ReadOnly(Action),
    /// Its scope does not contain the action.
    Scope(Action),
    /// Its owner's role does not contain the action.
    Role(Action),
    /// Its customer has switched the action off.
    Forbidden(Action),
    /// It is limited to services, and this is about the whole account.
    Account(Action),
    /// No such service in this customer.
    ServiceUnknown,
    /// The service is not among those it is limited to.
    Service(ServiceId),
    /// The service is among those its owner reaches, and what they may do there does not contain the action.
    Permission(ServiceId, Action),
    /// A password is needed first.
    Sudo,
    /// Only for a person who has just shown their password.
    Interactive,
    /// No route of the policy matches.
    NoRoute,
    /// The route is known, and nobody has said yet what it is.
    Unclassified,
    /// The path can be read in two ways.
    AmbiguousPath,
    /// The host cannot be one.
    AmbiguousHost,
    /// The request asks for another method than its own.
    MethodOverride,
    /// Headers of two proxies say what was asked for, or one says it twice.
    ConflictingHeaders,
    /// Whoever says what was asked for is no proxy of ours.
    UntrustedProxy,
    /// What whoever decides must have applied cannot be read.
    PositionInvalid,
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
            Self::Kind | Self::Machine(_) => "token_type_not_allowed",
            Self::Expired { .. } => "token_expired",
            Self::OwnerDisabled => "owner_disabled",
            Self::CustomerSuspended => "tenant_suspended",
            Self::Network => "ip_not_allowed",
            Self::FactorMissing => "two_factor_required",
            Self::Scope(Action::AUTOMATION_TOKEN_MINT) | Self::Role(Action::AUTOMATION_TOKEN_MINT) => {
                "minting_not_allowed"
            }
            Self::ReadOnly(_) => "read_only",
            Self::Scope(_) => "insufficient_scope",
            Self::Role(_) => "insufficient_role",
            Self::Forbidden(Action::AUTOMATION_TOKEN_MINT | Action::AUTOMATION_TOKEN_CREATE) => {
                "minting_not_allowed"
            }
            Self::Forbidden(_) => "switched_off",
            Self::Account(_) => "service_limited",
            Self::ServiceUnknown => "service_not_found",
            Self::Service(_) => "service_not_granted",
            Self::Permission(..) => "insufficient_permission",
            Self::Sudo => "sudo_required",
            Self::Interactive => "interactive_only",
            Self::NoRoute => "no_rule",
            Self::Unclassified => "unclassified",
            Self::AmbiguousPath => "ambiguous_path",
            Self::AmbiguousHost => "ambiguous_host",
            Self::MethodOverride => "method_override_refused",
            Self::ConflictingHeaders => "conflicting_forward_headers",
            Self::UntrustedProxy => "untrusted_proxy",
            Self::PositionInvalid => "position_invalid",
        }
    }
}

/// Decides from what is true now:
///
/// ```text
/// authority = actions(scope) ∩ actions(role of the owner now) ∩ services listed ∩ services its owner reaches
///           ∩ customer, its networks, owner, second factor, expiry, sudo
/// ```
///
/// and only as far as what is known is current enough for what is asked.
#[must_use]
pub fn decide(policy: &Policy, standing: &Standing<'_>, want: &Want, at: Circumstances) -> Verdict {
    at.settle(judge(policy, standing, want, at))
}

/// Decides by what is known, as if it were all there is.
fn judge(policy: &Policy, standing: &Standing<'_>, want: &Want, at: Circumstances) -> Verdict {
    if let Some(unsure) = standing.unsure {
        return Verdict::CannotTell(unsure);
    }
    let action = asked(policy, standing.actor, want.action);
    let service = match alive(standing, at.now)
        .and_then(|()| admitted(policy, standing, action, at))
        .and_then(|()| granted(policy, standing, action))
        .and_then(|()| reachable(policy, standing, action, want.service))
        .and_then(|service| in_sudo(policy, standing, action, at.now).map(|()| service))
    {
        Ok(service) => service,
        Err(deny) => return Verdict::Deny(deny),
    };
    Verdict::Allow(Permit::granted(standing.actor, action, standing.customer, service))
}

/// Refuses what is no route, or none that anybody may take: for that reason only to whoever could be let in at some route
/// there. To others every path looks alike.
#[must_use]
pub fn refuse(
    policy: &Policy,
    standing: &Standing<'_>,
    host: &Host<'_>,
    why: Deny,
    at: Circumstances,
) -> Verdict {
    if let Some(unsure) = standing.unsure {
        return Verdict::CannotTell(unsure);
    }
    let serves = policy.serves_at(host, standing.customer);
    let known = alive(standing, at.now)
        .and(if serves { Ok(()) } else { Err(Deny::NoRoute) })
        .and_then(|()| equipped(standing, at, false, false));
    at.settle(Verdict::Deny(known.err().unwrap_or(why)))
}

/// What is asked of this actor: a machine needs another action for some of what a person does in sudo.
fn asked(policy: &Policy, actor: Actor, action: Action) -> Action {
    if is_machine(actor) { policy.for_machines(action) } else { action }
}

/// Whether nobody stands behind it.
fn is_machine(actor: Actor) -> bool {
    matches!(actor, Actor::Token { user: None, .. })
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

/// The request comes from where it may, and its owner has the second factor that they must.
fn admitted(policy: &Policy, standing: &Standing<'_>, action: Action, at: Circumstances) -> Result<(), Deny> {
    if !policy.serves(action, standing.customer) {
        // Another customer's API is as unknown to it as one that is not there.
        return Err(Deny::NoRoute);
    }
    equipped(standing, at, policy.is_from_anywhere(action), policy.is_without_factor(action))
}

/// The network and the second factor are those that the customer wants, unless it does not matter.
fn equipped(
    standing: &Standing<'_>,
    at: Circumstances,
    from_anywhere: bool,
    without_factor: bool,
) -> Result<(), Deny> {
    if !from_anywhere && !standing.rules.networks.admit(at.client) {
        return Err(Deny::Network);
    }
    if !without_factor && standing.rules.force_factor && standing.lacks_factor {
        return Err(Deny::FactorMissing);
    }
    Ok(())
}

/// Scope and role both contain the action.
fn granted(policy: &Policy, standing: &Standing<'_>, action: Action) -> Result<(), Deny> {
    if is_machine(standing.actor) && policy.is_personal(action) {
        return Err(Deny::Machine(action));
    }
    if !standing.scope.contains(action) {
        let may_read_all = policy.reads().minus(*standing.scope).is_empty();
        // Of what no `*` contains, no token that may read is told that it only reads.
        return Err(if may_read_all && !policy.must_be_named(action) {
            Deny::ReadOnly(action)
        } else {
            Deny::Scope(action)
        });
    }
    if !standing.role.contains(action) {
        return Err(Deny::Role(action));
    }
    if standing.rules.forbids.contains(&action) {
        return Err(Deny::Forbidden(action));
    }
    let limited_person = *standing.reach != Reach::All && !policy.is_for_limited_people(action);
    if (standing.services.is_limited() || limited_person) && policy.is_account_wide(action) {
        return Err(Deny::Account(action));
    }
    Ok(())
}

/// The service exists, belongs to the same customer, is listed if there is a list, and its owner may do this there.
/// Foreign is the same as missing.
fn reachable(
    policy: &Policy,
    standing: &Standing<'_>,
    action: Action,
    wanted: Option<WantedService>,
) -> Result<Option<ServiceId>, Deny> {
    let id = match wanted {
        None if is_limited(standing) && policy.needs_place(action) => return Err(Deny::Account(action)),
        None => return Ok(None),
        Some(WantedService::Known(id, customer)) if customer == standing.customer => id,
        Some(WantedService::Known(..) | WantedService::Unknown) => return Err(Deny::ServiceUnknown),
    };
    if !standing.services.contains(id) {
        return Err(Deny::Service(id));
    }
    if let Reach::Granted(grants) = standing.reach {
        let permission = grants.on(id).ok_or(Deny::Service(id))?;
        if !policy.permission(permission).contains(action) {
            return Err(Deny::Permission(id, action));
        }
    }
    Ok(Some(id))
}

/// Whether the token is limited to services, or whoever it is bound to.
fn is_limited(standing: &Standing<'_>) -> bool {
    standing.services.is_limited() || *standing.reach != Reach::All
}

/// A password was shown lately, where the action needs that.
fn in_sudo(policy: &Policy, standing: &Standing<'_>, action: Action, now: Timestamp) -> Result<(), Deny> {
    // Sudo is a person's: whatever is said of a machine, nobody has shown a password.
    let in_sudo = !is_machine(standing.actor) && standing.sudo_until.is_some_and(|until| now < until);
    if policy.is_for_people(action) && !in_sudo {
        return Err(Deny::Interactive);
    }
    if policy.needs_sudo(action) && !in_sudo { Err(Deny::Sudo) } else { Ok(()) }
}
