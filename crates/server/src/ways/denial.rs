//! Ids of refusals: what a refusal is told with, and looked up by (`keygate explain ID`).

use std::net::{IpAddr, Ipv6Addr};

use keygate_authority::denial::Denial;
use keygate_model::{
    Action, Actor, Ask, Deny, Digest, Policy,
    policy::{Matched, Route},
};

use crate::front::Front;

/// The codes of refusals by their numbers in ids. Only ever append.
pub const CODES: [&str; 32] = [
    "credential_missing",
    "multiple_credentials",
    "credential_in_url",
    "scheme_not_supported",
    "token_malformed",
    "token_unknown",
    "token_type_not_allowed",
    "token_expired",
    "owner_disabled",
    "tenant_suspended",
    "ip_not_allowed",
    "two_factor_required",
    "minting_not_allowed",
    "read_only",
    "insufficient_scope",
    "insufficient_role",
    "switched_off",
    "service_limited",
    "service_not_found",
    "service_not_granted",
    "insufficient_permission",
    "sudo_required",
    "interactive_only",
    "no_rule",
    "unclassified",
    "ambiguous_path",
    "ambiguous_host",
    "method_override_refused",
    "conflicting_forward_headers",
    "untrusted_proxy",
    "position_invalid",
    "other",
];

/// The id of a refusal.
pub(super) fn id(
    app: &Front,
    policy: &Policy,
    deny: Deny,
    digest: Option<&Digest>,
    ask: Option<&Ask<'_>>,
    client: Option<IpAddr>,
) -> String {
    let value = match deny {
        Deny::Service(service) | Deny::Permission(service, _) => service.to_bytes(),
        Deny::Network => client.map_or([0; 16], |ip| bits(ip).octets()),
        _ => [0; 16],
    };
    let denial = Denial {
        at: app.clock.now(),
        reason: code_number(deny),
        token: digest.map_or([0; 16], |digest| token(app, digest)),
        route: ask.and_then(|ask| route(policy, ask)).unwrap_or(0),
        value,
    };
    // Without entropy or a key there is no id, and the refusal stands all the same.
    let id = app.denials.as_ref().and_then(|denials| Some(denials.id(&denial, app.rng.bytes().ok()?)));
    id.unwrap_or_else(|| "none".to_owned())
}

/// The token's id; of one that nobody knows, the beginning of its digest, by which a revoked one is found.
fn token(app: &Front, digest: &Digest) -> [u8; 16] {
    match app.gate.actor(digest) {
        Some(Actor::Token { token, .. }) => token.to_bytes(),
        _ => {
            let mut start = [0; 16];
            start.copy_from_slice(&digest.bytes()[..16]);
            start
        }
    }
}

fn route(policy: &Policy, ask: &Ask<'_>) -> Option<u32> {
    let host = ask.host.as_ref()?;
    let Matched { route, .. } = policy.route_at(host, ask.method, &ask.path).ok()?;
    Some(number(host.as_str(), route))
}

/// The number of a code: its place in [`CODES`].
pub(crate) fn code_number(deny: Deny) -> u8 {
    const MINT: Action = Action::AUTOMATION_TOKEN_MINT;
    match deny {
        Deny::Missing => 0,
        Deny::Multiple => 1,
        Deny::InUrl => 2,
        Deny::Scheme => 3,
        Deny::Malformed(_) => 4,
        Deny::Unknown => 5,
        Deny::Kind | Deny::Machine(_) => 6,
        Deny::Expired { .. } => 7,
        Deny::OwnerDisabled => 8,
        Deny::CustomerSuspended => 9,
        Deny::Network => 10,
        Deny::FactorMissing => 11,
        Deny::Scope(MINT) | Deny::Role(MINT) | Deny::Forbidden(MINT | Action::AUTOMATION_TOKEN_CREATE) => 12,
        Deny::ReadOnly(_) => 13,
        Deny::Scope(_) => 14,
        Deny::Role(_) => 15,
        Deny::Forbidden(_) => 16,
        Deny::Account(_) => 17,
        Deny::ServiceUnknown => 18,
        Deny::Service(_) => 19,
        Deny::Permission(..) => 20,
        Deny::Sudo => 21,
        Deny::Interactive => 22,
        Deny::NoRoute => 23,
        Deny::Unclassified => 24,
        Deny::AmbiguousPath => 25,
        Deny::AmbiguousHost => 26,
        Deny::MethodOverride => 27,
        Deny::ConflictingHeaders => 28,
        Deny::UntrustedProxy => 29,
        Deny::PositionInvalid => 30,
    }
}

/// A number for a route at a host, the same for as long as a policy names it.
#[must_use]
pub fn number(host: &str, route: &Route) -> u32 {
    crc32fast::hash(format!("{host} {}", route.on).as_bytes())
}

fn bits(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use keygate_model::{ServiceId, Timestamp, TokenId, token::Malformed};

    use super::*;

    #[test]
    fn a_number_is_the_place_of_the_code() {
        let (action, mint, create) =
            (Action::TOKEN_READ, Action::AUTOMATION_TOKEN_MINT, Action::AUTOMATION_TOKEN_CREATE);
        let (service, token) = (ServiceId::from_bytes([0; 16]), TokenId::from_bytes([0; 16]));
        let all = [
            Deny::Missing,
            Deny::Multiple,
            Deny::InUrl,
            Deny::Scheme,
            Deny::Malformed(Malformed::Checksum),
            Deny::Unknown,
            Deny::Kind,
            Deny::Machine(action),
            Deny::Expired { token, at: Timestamp::from_seconds(0) },
            Deny::OwnerDisabled,
            Deny::CustomerSuspended,
            Deny::Network,
            Deny::FactorMissing,
            Deny::ReadOnly(action),
            Deny::ReadOnly(mint),
            Deny::Scope(action),
            Deny::Scope(mint),
            Deny::Scope(create),
            Deny::Role(action),
            Deny::Role(mint),
            Deny::Role(create),
            Deny::Forbidden(action),
            Deny::Forbidden(mint),
            Deny::Forbidden(create),
            Deny::Account(action),
            Deny::ServiceUnknown,
            Deny::Service(service),
            Deny::Permission(service, action),
            Deny::Sudo,
            Deny::Interactive,
            Deny::NoRoute,
            Deny::Unclassified,
            Deny::AmbiguousPath,
            Deny::AmbiguousHost,
            Deny::MethodOverride,
            Deny::ConflictingHeaders,
            Deny::UntrustedProxy,
            Deny::PositionInvalid,
        ];
        for deny in all {
            assert_eq!(CODES[usize::from(code_number(deny))], deny.code(), "{deny:?}");
        }
    }
}
