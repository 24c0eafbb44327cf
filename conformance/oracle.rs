//! What the prose says (DESIGN §3, CONTRACT §1), written down as plainly as can be: no sets, no ids, no policy file, no
//! call into the model but for the types of facts. Names stand for things throughout: a service is `{shop}`.

use keygate_model::{token::Kind, user::UserState};

use crate::cases::{Answer, Caller, Facts, Owner, What};

const READS: [&str; 8] = [
    "token:read",
    "token:read_any",
    "token:read_self",
    "user:read_self",
    "customer:read_self",
    "event:read",
    "service:list",
    "service:read",
];
const ACCOUNT: [&str; 5] =
    ["token:read_any", "token:revoke_any", "user:read_self", "event:read", "service:create"];
const SUPERUSERS_ONLY: [&str; 3] = ["token:read_any", "token:revoke_any", "event:read"];
const SCOPES: [&str; 4] = ["global", "global:read", "purge_select", "purge_all"];
const ROLES: [&str; 4] = ["superuser", "engineer", "billing", "user"];

/// The answer that must come.
pub(crate) fn oracle(facts: &Facts, caller: &Caller, what: &What) -> Answer {
    match judge(facts, caller, what) {
        Err("public") => Answer::Public,
        Err(code @ ("authority_stale" | "owner_missing" | "record_unsupported")) => {
            Answer::CannotTell(code.into())
        }
        Err(code) => Answer::Deny(code.into()),
        Ok(()) => Answer::Allow,
    }
}

fn judge(facts: &Facts, caller: &Caller, what: &What) -> Result<(), &'static str> {
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
    let session = token.is_some_and(|token| token.kind() == Kind::Session);
    refuse(session && matches!(what, What::Request { .. }), "token_type_not_allowed")?;
    refuse(facts.stale, "authority_stale")?;
    let token = token.filter(|token| !token.revoked).ok_or("token_unknown")?;

    // Whose it is, and whether that is known well enough.
    let (role, whose, state, heard) = match &token.owner {
        Owner::Customer(bot) => (&bot.role, &bot.customer, UserState::Active, true),
        Owner::User(name) => {
            let user = &facts.users[name];
            (&user.role, &user.customer, user.state, !user.unheard)
        }
    };
    let customer = &facts.customers[whose];
    refuse(!heard || customer.unheard, "owner_missing")?;
    let scopes: Vec<&str> = token.scope.split(' ').collect();
    let supported = scopes.iter().all(|scope| SCOPES.contains(scope)) && ROLES.contains(&role.as_str());
    refuse(!supported, "record_unsupported")?;

    // Whether it may act at all; then what; then on which service; then whether a password was shown lately.
    refuse(token.expires.is_some_and(|end| facts.at >= end), "token_expired")?;
    refuse(customer.suspended, "tenant_suspended")?;
    refuse(state != UserState::Active, "owner_disabled")?;
    let in_scope = scopes.iter().any(|scope| scope_has(scope, action));
    refuse(!in_scope && scopes.contains(&"global:read"), "read_only")?;
    refuse(!in_scope, "insufficient_scope")?;
    refuse(!role_has(role, action), "insufficient_role")?;
    refuse(token.services.is_some() && ACCOUNT.contains(&action), "service_limited")?;
    if let Some(segment) = service {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        refuse(
            facts.services.get(name).is_none_or(|service| service.customer != *whose),
            "service_not_found",
        )?;
        refuse(
            token.services.as_ref().is_some_and(|list| !list.iter().any(|one| one == name)),
            "service_not_granted",
        )?;
    }
    let sudo = token.sudo_until.is_some_and(|until| facts.at < until);
    refuse(action == "token:create" && !sudo, "sudo_required")
}

fn scope_has(scope: &str, action: &str) -> bool {
    let itself = matches!(action, "token:read_self" | "token:revoke_self");
    match scope {
        "global" => true,
        "global:read" => READS.contains(&action) || itself,
        "purge_select" => matches!(action, "purge:key" | "purge:url") || itself,
        _ => action == "purge:all" || itself,
    }
}

fn role_has(role: &str, action: &str) -> bool {
    let changes_services =
        matches!(action, "service:create" | "service:update" | "service:delete" | "service:activate");
    match role {
        "superuser" => true,
        "engineer" => !SUPERUSERS_ONLY.contains(&action),
        _ => !SUPERUSERS_ONLY.contains(&action) && !changes_services && !action.starts_with("purge:"),
    }
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
        ("GET", ["tokens", "self"] | ["verify"]) => ("token:read_self", None),
        ("DELETE", ["tokens", "self"]) => ("token:revoke_self", None),
        ("GET", ["tokens"] | ["tokens", _]) => ("token:read", None),
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
        ("GET", ["livez" | "readyz" | "metrics"]) => return Err("public"),
        ("GET", ["realms", "fastly", ".well-known", "openid-configuration"]) => return Err("public"),
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
