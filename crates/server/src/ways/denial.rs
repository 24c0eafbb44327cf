//! Ids of refusals: what a refusal is told with, and looked up by (`keygate explain ID`).

use std::net::{IpAddr, Ipv6Addr};

use keygate_authority::denial::Denial;
use keygate_model::{
    Actor, Ask, Deny, Digest, Policy,
    policy::{Matched, Route},
};

use crate::app::App;

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
    "other",
    "other",
];

/// The id of a refusal.
pub(super) fn id(
    app: &App,
    policy: &Policy,
    deny: Deny,
    digest: Option<&Digest>,
    ask: Option<&Ask<'_>>,
    client: Option<IpAddr>,
) -> String {
    let code = deny.code();
    let reason = CODES.iter().position(|known| *known == code).unwrap_or(CODES.len() - 1);
    let value = match deny {
        Deny::Service(service) | Deny::Permission(service, _) => service.to_bytes(),
        Deny::Network => client.map_or([0; 16], |ip| bits(ip).octets()),
        _ => [0; 16],
    };
    let denial = Denial {
        at: app.clock.now(),
        reason: u8::try_from(reason).unwrap_or(u8::MAX),
        token: digest.map_or([0; 16], |digest| token(app, digest)),
        route: ask.and_then(|ask| route(policy, ask)).unwrap_or(0),
        value,
    };
    // Without entropy there is no id, and the refusal stands all the same.
    app.rng.bytes().map_or_else(|_| "none".to_owned(), |nonce| app.denials.id(&denial, nonce))
}

/// The token's id; of one that nobody knows, the beginning of its digest, by which a revoked one is found.
fn token(app: &App, digest: &Digest) -> [u8; 16] {
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
