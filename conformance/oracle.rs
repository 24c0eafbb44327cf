//! What the prose says (DESIGN §3, CONTRACT §1), written down as plainly as can be: no sets, no ids, no policy file, no
//! call into the model but for the types of facts. Names stand for things throughout: a service is `{shop}`.

use std::{collections::BTreeMap, net::IpAddr};

use keygate_model::{authorization::Permission, token::Kind, user::UserState};

use crate::cases::{Answer, Caller, Facts, Owner, Token, What};

const READS: [&str; 15] = [
    "token:read",
    "token:read_any",
    "token:read_self",
    "user:read_self",
    "customer:read_self",
    "event:read",
    "service:list",
    "service:read",
    "automation_token:read",
    "user:read_any",
    "invitation:read",
    "authorization:read",
    "role:read",
    "billing:read",
    "token:introspect",
];
/// What concerns one service, or nothing but the token that asks and its kind. All else is about the whole account.
const NARROW: [&str; 17] = [
    "service:activate",
    "token:create",
    "token:read",
    "token:revoke",
    "token:read_self",
    "token:revoke_self",
    "sudo:start",
    "customer:read_self",
    "service:list",
    "service:read",
    "service:update",
    "service:delete",
    "purge:key",
    "purge:url",
    "purge:all",
    "automation_token:create",
    "automation_token:mint",
];
/// What everybody may do by their role.
const EVERYBODYS: [&str; 16] = [
    "token:create",
    "token:read",
    "token:revoke",
    "token:read_self",
    "token:revoke_self",
    "sudo:start",
    "user:read_self",
    "user:update_self",
    "password:change",
    "password:reset",
    "factor:enrol",
    "factor:disable",
    "customer:read_self",
    "service:list",
    "service:read",
    "token:introspect",
];
/// What leads to having a second factor, and what a token may always do about itself.
const WITHOUT_FACTOR: [&str; 6] = [
    "token:read_self",
    "token:revoke_self",
    "user:read_self",
    "sudo:start",
    "password:change",
    "factor:enrol",
];
/// What somebody may do about themself, whatever they reach.
const OWN: [&str; 5] =
    ["user:update_self", "password:change", "password:reset", "factor:enrol", "factor:disable"];
/// What nobody stands behind a machine to do.
const NO_MACHINES: [&str; 5] =
    ["token:create", "sudo:start", "password:change", "password:reset", "invitation:create"];
const FOR_PEOPLE: [&str; 3] = ["factor:enrol", "factor:disable", "customer:delete"];
const MINT: &str = "automation_token:mint";
const FOLLOW: &str = "feed:follow";
const SCOPES: [&str; 7] = ["global", "global:read", "purge_select", "purge_all", "introspect", "feed", MINT];
const ROLES: [&str; 5] = ["superuser", "engineer", "billing", "user", "gate"];

/// The answer that must come.
pub(crate) fn oracle(facts: &Facts, caller: &Caller, client: Option<IpAddr>, what: &What) -> Answer {
    match judge(facts, caller, client, what) {
        Err("public") => Answer::Public,
        Err(code @ ("authority_stale" | "owner_missing" | "record_unsupported")) => {
            Answer::CannotTell(code.into())
        }
        Err(code) => Answer::Deny(code.into()),
        Ok(()) => Answer::Allow,
    }
}

fn judge(facts: &Facts, caller: &Caller, client: Option<IpAddr>, what: &What) -> Result<(), &'static str> {
    let refuse = |when: bool, code| if when { Err(code) } else { Ok(()) };
    let (action, service) = match what {
        What::Action(action) => (action.as_str(), None),
        What::Request { method, path } => route(method, path)?,
    };
    let token = match caller {
        Caller::Nobody => return Err("credential_missing"),
        Caller::Malformed => return Err("token_malformed"),
        Caller::Unknown => None,
        Caller::Token(name) => Some(&facts.tokens[name]),
    };
    let session = token.is_some_and(|token| token.kind() == Kind::Session && !token.foreign);
    refuse(session && matches!(what, What::Request { .. }), "token_type_not_allowed")?;
    refuse(facts.stale, "authority_stale")?;
    let token = token.filter(|token| !token.revoked).ok_or("token_unknown")?;

    // Whose it is, and whether that is known well enough. A machine has nobody behind it.
    let (role, whose, person) = match &token.owner {
        Owner::Customer(bot) => (&bot.role, &bot.customer, None),
        Owner::User(name) => (&facts.users[name].role, &facts.users[name].customer, Some(&facts.users[name])),
    };
    let customer = &facts.customers[whose];
    refuse(person.is_some_and(|user| user.unheard) || customer.unheard, "owner_missing")?;
    let scopes: Vec<&str> = token.scope.split(' ').collect();
    let supported = scopes.iter().all(|scope| SCOPES.contains(scope)) && ROLES.contains(&role.as_str());
    refuse(!supported, "record_unsupported")?;
    // Where a person makes an automation token, a machine needs a right of its own.
    let action = if person.is_none() && action == "automation_token:create" { MINT } else { action };

    // Whether it may act at all, and from here; then what; then on which service; then whether a password was shown lately.
    refuse(token.expires.is_some_and(|end| facts.at >= end), "token_expired")?;
    refuse(customer.suspended, "tenant_suspended")?;
    refuse(person.is_some_and(|user| user.state != UserState::Active), "owner_disabled")?;
    let outside = customer.networks.as_ref().is_some_and(|list| !is_inside(list, client));
    refuse(outside && action != "purge:key", "ip_not_allowed")?;
    let lacks_factor = customer.force_2fa && person.is_some_and(|user| !user.second_factor);
    refuse(lacks_factor && !WITHOUT_FACTOR.contains(&action), "two_factor_required")?;
    refuse(person.is_none() && NO_MACHINES.contains(&action), "token_type_not_allowed")?;
    let in_scope = scopes.iter().any(|scope| scope_has(scope, action));
    refuse(!in_scope && action == MINT, "minting_not_allowed")?;
    refuse(!in_scope && scopes.contains(&"global:read") && action != FOLLOW, "read_only")?;
    refuse(!in_scope, "insufficient_scope")?;
    refuse(!role_has(role, action) && action == MINT, "minting_not_allowed")?;
    refuse(!role_has(role, action), "insufficient_role")?;
    let off = customer.forbids.iter().any(|name| name == action);
    refuse(off && [MINT, "automation_token:create"].contains(&action), "minting_not_allowed")?;
    refuse(off, "switched_off")?;
    let granted = person.and_then(|user| user.limited.as_ref());
    let account = !NARROW.contains(&action);
    refuse(account && token.services.is_some(), "service_limited")?;
    refuse(
        account && granted.is_some() && !READS.contains(&action) && !OWN.contains(&action),
        "service_limited",
    )?;
    if let Some(segment) = service {
        on_service(facts, token, granted, whose, segment, action)?;
    }
    let sudo = person.is_some() && token.sudo_until.is_some_and(|until| facts.at < until);
    refuse(FOR_PEOPLE.contains(&action) && !sudo, "interactive_only")?;
    refuse(["token:create", "automation_token:create"].contains(&action) && !sudo, "sudo_required")
}

/// Whether it may do this on the service that a path names.
fn on_service(
    facts: &Facts,
    token: &Token,
    granted: Option<&BTreeMap<String, Permission>>,
    whose: &str,
    segment: &str,
    action: &str,
) -> Result<(), &'static str> {
    let refuse = |when: bool, code| if when { Err(code) } else { Ok(()) };
    let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    refuse(facts.services.get(name).is_none_or(|service| service.customer != whose), "service_not_found")?;
    let listed = token.services.as_ref().is_none_or(|list| list.iter().any(|one| one == name));
    refuse(!listed, "service_not_granted")?;
    let Some(granted) = granted else { return Ok(()) };
    let permission = granted.get(name).ok_or("service_not_granted")?;
    refuse(!permits(*permission, action), "insufficient_permission")
}

fn scope_has(scope: &str, action: &str) -> bool {
    let itself = matches!(action, "token:read_self" | "token:revoke_self");
    match scope {
        "global" => ![MINT, FOLLOW].contains(&action),
        "global:read" => READS.contains(&action) || itself,
        "purge_select" => matches!(action, "purge:key" | "purge:url") || itself,
        "purge_all" => action == "purge:all" || itself,
        "introspect" => action == "token:introspect" || itself,
        "feed" => action == FOLLOW || itself,
        _ => action == MINT || itself,
    }
}

fn role_has(role: &str, action: &str) -> bool {
    let changes_services =
        matches!(action, "service:create" | "service:update" | "service:delete" | "service:activate");
    let purges = action.starts_with("purge:");
    if role == "gate" {
        return [FOLLOW, "token:read_self", "token:revoke_self"].contains(&action);
    }
    EVERYBODYS.contains(&action)
        || match role {
            "superuser" => true,
            "engineer" => changes_services || purges || [MINT, "invitation:create"].contains(&action),
            "billing" => action == "billing:read",
            _ => false,
        }
}

/// What a person who is limited to services may do on one that they are given.
fn permits(permission: Permission, action: &str) -> bool {
    let reads = READS.contains(&action);
    match permission {
        Permission::Full => true,
        Permission::ReadOnly => reads,
        Permission::PurgeSelect => reads || ["purge:key", "purge:url"].contains(&action),
        Permission::PurgeAll => reads || action.starts_with("purge:"),
    }
}

/// Whether an address is in a list of networks, bit by bit. An IPv4 address is the IPv6 address that stands for it.
fn is_inside(list: &str, client: Option<IpAddr>) -> bool {
    let bits = |ip: IpAddr| {
        let bytes = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        bytes.iter().map(|byte| format!("{byte:08b}")).collect::<String>()
    };
    let inside = |entry: &str, client: IpAddr| {
        if entry.contains('*') {
            let address = client.to_canonical().to_string();
            let (wanted, given): (Vec<_>, Vec<_>) =
                (entry.split('.').collect(), address.split('.').collect());
            return wanted.len() == given.len()
                && wanted.iter().zip(&given).all(|(wanted, given)| *wanted == "*" || wanted == given);
        }
        let (address, length) = entry.split_once('/').unwrap_or((entry, ""));
        let network: IpAddr = address.parse().expect("an address");
        let whole: usize = if network.is_ipv4() { 32 } else { 128 };
        let length = length.parse().unwrap_or(whole) + 128 - whole;
        bits(network)[..length] == bits(client)[..length]
    };
    let mut entries = list.split(',').map(str::trim);
    let anywhere = entries.clone().any(|entry| entry == "0.0.0.0/0");
    anywhere || client.is_some_and(|client| entries.any(|entry| inside(entry, client)))
}

/// The action that a request is, and the service that it names.
fn route<'a>(method: &str, path: &'a str) -> Result<(&'static str, Option<&'a str>), &'static str> {
    let method = if method == "HEAD" { "GET" } else { method };
    if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method) {
        return Err("no_rule");
    }
    if is_hopeless(path) {
        return Err("ambiguous_path");
    }
    if method == "POST" && path.strip_prefix("/purge/").is_some_and(|url| !url.is_empty()) {
        return Ok(("purge:url", None));
    }
    if is_ambiguous(path) {
        return Err("ambiguous_path");
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    if segments.contains(&"") {
        return Err("no_rule");
    }
    Ok(match (method, &segments[..]) {
        ("POST", ["tokens"]) => ("token:create", None),
        ("POST", ["tokens", "mass-revoke"]) => ("token:revoke_any", None),
        ("GET", ["tokens", "self"] | ["verify"]) => ("token:read_self", None),
        ("DELETE", ["tokens", "self"]) => ("token:revoke_self", None),
        ("GET", ["tokens"] | ["tokens" | "denials", _]) => ("token:read", None),
        ("DELETE", ["tokens"] | ["tokens", _]) => ("token:revoke", None),
        ("GET", ["customer", _, "tokens"]) => ("token:read_any", None),
        ("POST", ["sudo"]) => ("sudo:start", None),
        ("GET", ["current_user"]) => ("user:read_self", None),
        ("GET", ["current_customer"]) => ("customer:read_self", None),
        ("GET", ["events"] | ["events", _]) => ("event:read", None),
        ("GET", ["service"] | ["service", "search"]) => ("service:list", None),
        ("GET", ["service", id] | ["service", id, "details" | "domain" | "version"]) => {
            ("service:read", Some(id))
        }
        ("GET", ["service", id, "version", _] | ["service", id, "version", _, "domain" | "validate"]) => {
            ("service:read", Some(id))
        }
        ("POST", ["service", id, "version"])
        | ("PUT", ["service", id, "version", _] | ["service", id, "version", _, "clone" | "lock"]) => {
            ("service:update", Some(id))
        }
        ("PUT", ["service", id, "version", _, "activate" | "deactivate"])
        | ("PUT", ["service", id, "version", _, "activate" | "deactivate", _]) => {
            ("service:activate", Some(id))
        }
        ("POST", ["service"]) => ("service:create", None),
        ("PUT", ["service", id]) => ("service:update", Some(id)),
        ("DELETE", ["service", id]) => ("service:delete", Some(id)),
        ("POST", ["service", id, "purge"] | ["service", id, "purge", _]) => ("purge:key", Some(id)),
        ("POST", ["service", id, "purge_all"]) => ("purge:all", Some(id)),
        (_, ["automation-tokens", ..]) => (automation_tokens(method, &segments)?, None),
        ("POST", ["oauth", "introspect"]) => ("token:introspect", None),
        ("POST", ["oauth", "revoke"]) => ("token:revoke", None),
        ("GET", [".well-known", "oauth-authorization-server" | "oauth-protected-resource" | "jwks.json"]) => {
            return Err("public");
        }
        ("GET", ["livez" | "readyz" | "metrics" | "openapi.json"]) => return Err("public"),
        ("POST", ["password", "reset"]) | ("PUT", ["invitation", "accept", _]) => return Err("public"),
        ("GET", ["realms", "fastly", ".well-known", "openid-configuration"]) => return Err("public"),
        _ => (people_and_account(method, &segments)?, None),
    })
}

fn automation_tokens(method: &str, segments: &[&str]) -> Result<&'static str, &'static str> {
    Ok(match (method, segments) {
        ("POST", [_]) => "automation_token:create",
        ("GET", [_] | [_, _] | [_, _, "services" | "workspaces"]) => "automation_token:read",
        ("DELETE", [_, _]) => "token:revoke_any",
        _ => return Err("no_rule"),
    })
}

fn people_and_account(method: &str, segments: &[&str]) -> Result<&'static str, &'static str> {
    Ok(match (method, segments) {
        ("GET", ["feed"]) | ("POST", ["feed", "lease"]) => FOLLOW,
        ("POST", ["current_user", "password"]) => "password:change",
        ("POST" | "PUT", ["current_user", "two_factor"]) => "factor:enrol",
        ("DELETE", ["current_user", "two_factor"]) => "factor:disable",
        ("POST", ["user"]) => "user:create",
        ("GET", ["user", _]) => "user:read_self",
        ("PUT", ["user", _]) => "user:update_self",
        ("DELETE", ["user", _]) => "user:delete",
        ("POST", ["user", _, "password", "request_reset"]) => "password:reset",
        ("GET", ["customer", _]) | ("GET", ["customer", _, "contacts"]) => "customer:read_self",
        ("PUT", ["customer", _]) | ("POST", ["customer", _, "contacts"]) => "customer:update",
        ("DELETE", ["customer", _, "contacts", _]) => "customer:update",
        ("DELETE", ["customer", _]) => "customer:delete",
        ("GET", ["customer", _, "users"]) => "user:read_any",
        ("GET", ["invitations"]) => "invitation:read",
        ("POST", ["invitations"]) => "invitation:create",
        ("DELETE", ["invitations", _]) => "invitation:delete",
        ("GET", ["service-authorizations"] | ["service-authorizations", _]) => "authorization:read",
        ("POST", ["service-authorizations"]) => "authorization:update",
        ("PATCH" | "DELETE", ["service-authorizations"] | ["service-authorizations", _]) => {
            "authorization:update"
        }
        ("GET", ["iam", "v1", "roles"] | ["iam", "v1", "roles", _]) => "role:read",
        ("GET", ["roles"] | ["roles", _] | ["roles", _, "permissions"] | ["permissions"]) => "role:read",
        ("GET", ["service-groups"] | ["service-groups", _] | ["service-groups", _, "services"]) => {
            "role:read"
        }
        ("GET", ["user-groups"] | ["user-groups", _]) => "role:read",
        ("GET", ["user-groups", _, "members" | "roles" | "service-groups"]) => "role:read",
        _ => return Err("no_rule"),
    })
}

/// Whether two servers could read the path in two ways (SECURITY-BAR T-21), also where its rest is taken as it stands:
/// dot segments in any spelling, and what no URL may hold.
fn is_hopeless(path: &str) -> bool {
    let odd = |letter: char| !letter.is_ascii_graphic() || "\\#?".contains(letter);
    let spelled = path
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .replace("%2f", "/")
        .replace("%5c", "/")
        .replace(';', "/");
    let dots = spelled.split('/').any(|segment| segment == "." || segment == "..");
    let bad = |byte: Option<u8>| {
        byte.is_none_or(|byte| b"\x7f\xc0\xc1".contains(&byte) || !(b' '..=0xf4).contains(&byte))
    };
    !path.starts_with('/') || path.contains(odd) || dots || escapes(path).into_iter().any(bad)
}

/// Whether it could where it is not: an empty segment, a parameter, a hidden separator, a second spelling of a letter.
fn is_ambiguous(path: &str) -> bool {
    let second = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-._~/\\%;".contains(&byte))
    };
    path.contains("//") || path.contains(';') || escapes(path).into_iter().any(second)
}

/// What each `%` of a path stands for; none for one that is broken.
fn escapes(path: &str) -> Vec<Option<u8>> {
    let digits = |rest: &str| rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
    path.split('%').skip(1).map(digits).collect()
}
