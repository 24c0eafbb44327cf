//! What the files must cover. These lists only grow: a new action, route, scope or role wants its cases.

use std::collections::BTreeSet;

use keygate_model::{
    Method, Path,
    policy::{Access, Matched},
};

use crate::{
    cases::{Answer, Caller, Case, Facts, Owner, What, load_all},
    own_policy,
};

/// Every answer that the law or the gate can give. `Multiple`, `InUrl`, `Scheme` and `MethodOverride` are an adapter's;
/// `lease_lapsed` comes with the clock of a gate (`tests/lease`).
const ANSWERS: [&str; 25] = [
    "allow",
    "ambiguous_path",
    "authority_stale",
    "credential_missing",
    "insufficient_permission",
    "insufficient_role",
    "insufficient_scope",
    "interactive_only",
    "ip_not_allowed",
    "minting_not_allowed",
    "no_rule",
    "owner_disabled",
    "owner_missing",
    "read_only",
    "record_unsupported",
    "service_limited",
    "service_not_found",
    "service_not_granted",
    "sudo_required",
    "switched_off",
    "tenant_suspended",
    "token_expired",
    "token_malformed",
    "token_type_not_allowed",
    "two_factor_required",
];

#[test]
fn every_answer_is_there() {
    let code = |case: &Case| match &case.answer {
        Answer::Allow => "allow".to_owned(),
        Answer::Public => "public".to_owned(),
        Answer::Deny(code) | Answer::CannotTell(code) => code.clone(),
    };
    let seen: BTreeSet<_> = load_all().iter().flat_map(|file| file.cases.iter().map(code)).collect();
    let must: BTreeSet<_> =
        ANSWERS.into_iter().chain(["public", "token_unknown"]).map(str::to_owned).collect();
    assert_eq!(seen, must);
}

#[test]
fn every_scope_and_every_role_meets_every_action() {
    let policy = own_policy();
    let mut missing = BTreeSet::new();
    for action in policy.names(policy.all()) {
        missing.extend(policy.scope_names().iter().map(|scope| (scope.to_string(), action.to_owned())));
        missing.extend(policy.role_names().iter().map(|role| (role.to_string(), action.to_owned())));
    }
    for file in load_all() {
        for case in &file.cases {
            let (Caller::Token(name), Some(action)) = (&case.caller, action_of(case)) else { continue };
            let token = &file.facts.tokens[name];
            missing.remove(&(token.scope.clone(), action.clone()));
            missing.remove(&(role_of(&file.facts, &token.owner).to_owned(), action));
        }
    }
    assert!(missing.is_empty(), "no case for {missing:?}");
}

#[test]
fn every_route_is_there() {
    let policy = own_policy();
    let mut missing: BTreeSet<_> = policy.routes().iter().map(|route| route.on.as_str()).collect();
    for file in load_all() {
        let asks = file.cases.iter().filter_map(|case| match &case.what {
            What::Request { method, path } => Some((method, path)),
            What::Action(_) => None,
        });
        for (method, path) in asks {
            missing.retain(|on| !is_on(on, method, path));
        }
    }
    assert!(missing.is_empty(), "no case for {missing:?}");
}

/// Whether a request has the shape of this route; what stands in the place of a `{name}` may be anything.
fn is_on(on: &str, method: &str, path: &str) -> bool {
    let Some((on_method, template)) = on.split_once(' ') else { return false };
    if let Some((fixed, _)) = template.split_once("{*") {
        return method == on_method && path.starts_with(fixed);
    }
    let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let fits = |(wanted, given): (&&str, &&str)| wanted.starts_with('{') || wanted == given;
    method == on_method && wanted.len() == given.len() && wanted.iter().zip(&given).all(fits)
}

fn action_of(case: &Case) -> Option<String> {
    let policy = own_policy();
    let (method, path) = match &case.what {
        What::Action(name) => return Some(name.clone()),
        What::Request { method, path } => (Method::parse(method)?, path),
    };
    match policy.route(method, &Path::new(path)) {
        Ok(Matched { access: Access::Action(action) | Access::ActionIfAny(action), .. }) => {
            Some(policy.name(action).to_owned())
        }
        _ => None,
    }
}

fn role_of<'f>(facts: &'f Facts, owner: &'f Owner) -> &'f str {
    match owner {
        Owner::User(name) => &facts.users[name].role,
        Owner::Customer(bot) => &bot.role,
    }
}
