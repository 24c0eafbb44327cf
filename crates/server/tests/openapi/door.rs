//! What every operation answers before its own handler has a word: derived from the policy, said once.

use keygate_model::{Action, ActionSet, Policy, policy::Access};
use serde_json::{Map, Value, json};

use crate::document::object;

const BEFORE_ANYTHING: [&str; 3] = ["ambiguous_path", "credential_in_url", "method_override_refused"];
const OF_A_BODY: [&str; 2] = ["body_too_large", "body_too_slow"];
const OF_FIELDS: [&str; 2] = ["body_invalid", "duplicate_field"];
const UNAUTHENTICATED: [&str; 7] = [
    "credential_missing",
    "scheme_not_supported",
    "token_malformed",
    "token_unknown",
    "token_expired",
    "token_revoked",
    "owner_disabled",
];
const UNAVAILABLE: [&str; 10] = [
    "authority_stale",
    "lease_lapsed",
    "position_not_applied",
    "owner_missing",
    "record_unsupported",
    "record_tampered",
    "storage_unavailable",
    "outcome_unknown",
    "overloaded",
    "no_entropy",
];

/// What is known of an operation before its handler.
pub(crate) struct Asks {
    pub(crate) access: Option<Access>,
    pub(crate) takes_body: bool,
    pub(crate) is_form: bool,
    pub(crate) names_service: bool,
    pub(crate) has_parameters: bool,
    pub(crate) is_plain: bool,
}

/// The value of `x-keygate-action`.
pub(crate) fn needs(policy: &Policy, access: Option<Access>) -> Value {
    let (action, credential) = match access {
        None => return json!({ "credential": "required", "action": "that of the original request" }),
        Some(Access::Public) => return json!({ "credential": "none" }),
        Some(Access::Unclassified) => return json!({ "credential": "refused" }),
        Some(Access::Action(action)) => (action, "required"),
        Some(Access::ActionIfAny(action)) => (action, "optional"),
    };
    let mut needs = json!({
        "credential": credential,
        "action": policy.name(action),
        "scopes": having(policy.scope_names(), action, |name| policy.scope(name)),
        "roles": having(policy.role_names(), action, |name| policy.role(name)),
    });
    let machines = policy.for_machines(action);
    if machines != action {
        needs["machines_need"] = policy.name(machines).into();
    }
    let marks = [
        ("sudo", policy.needs_sudo(action)),
        ("people_only", policy.is_for_people(action)),
        ("counted", policy.is_counted(action)),
        ("urgent", policy.is_urgent(action)),
        ("whole_account", policy.is_account_wide(action)),
        ("from_anywhere", policy.is_from_anywhere(action)),
        ("without_second_factor", policy.is_without_factor(action)),
    ];
    for (mark, _) in marks.into_iter().filter(|(_, is_so)| *is_so) {
        needs[mark] = true.into();
    }
    needs
}

fn having(names: Vec<&str>, action: Action, set: impl Fn(&str) -> Option<ActionSet>) -> Vec<&str> {
    names.into_iter().filter(|name| set(name).is_some_and(|set| set.contains(action))).collect()
}

/// The refusals of an operation: its own, and the door's.
pub(crate) fn refusals(policy: &Policy, asks: &Asks, own: Map<String, Value>) -> Map<String, Value> {
    let mut codes: Map<String, Value> = own;
    let mut add = |status: &str, more: &[&str]| {
        let list = codes.entry(status).or_insert_with(|| json!([]));
        let list = list.as_array_mut().expect("a list of codes");
        for code in more {
            if !list.contains(&json!(code)) {
                list.push(json!(code));
            }
        }
    };
    add("400", &BEFORE_ANYTHING);
    if asks.takes_body {
        add("400", &OF_A_BODY);
    }
    if asks.is_form {
        add("400", &OF_FIELDS);
    }
    if asks.has_parameters {
        add("404", &["no_rule"]);
    }
    if let Some(Access::Action(action) | Access::ActionIfAny(action)) = asks.access {
        add("400", &["multiple_credentials", "position_invalid"]);
        add("403", &forbidden(policy, action, asks.names_service));
        if policy.is_counted(action) && !policy.is_urgent(action) {
            add("429", &["rate_limited"]);
        }
    }
    let mut responses: Map<String, Value> =
        codes.iter().map(|(status, list)| refusal(status, list)).collect();
    let shared = |name: &str| json!({ "$ref": format!("#/components/responses/{name}") });
    if asks.access != Some(Access::Public) {
        responses.insert("401".to_owned(), shared("Unauthenticated"));
    }
    if !asks.is_plain {
        responses.insert("500".to_owned(), shared("Internal"));
        responses.insert("503".to_owned(), shared("Unavailable"));
    }
    responses
}

/// Why somebody who is known may not: by the law, in its order.
fn forbidden(policy: &Policy, action: Action, names_service: bool) -> Vec<&'static str> {
    let machines = policy.for_machines(action);
    let all = |names: Vec<&str>, set: &dyn Fn(&str) -> Option<ActionSet>| {
        names.iter().all(|name| set(name).is_some_and(|set| set.contains(action)))
    };
    let reads = policy.reads().contains(action);
    let every_scope = all(policy.scope_names(), &|name| policy.scope(name));
    let every_role = all(policy.role_names(), &|name| policy.role(name));
    let limits = policy.is_account_wide(action);
    let switchable = machines != action;
    [
        ("tenant_suspended", true),
        ("token_type_not_allowed", policy.is_personal(action)),
        ("ip_not_allowed", !policy.is_from_anywhere(action)),
        ("two_factor_required", !policy.is_without_factor(action)),
        ("read_only", !reads && !every_scope),
        ("insufficient_scope", !every_scope),
        ("insufficient_role", !every_role),
        ("minting_not_allowed", switchable),
        ("service_limited", limits),
        ("service_not_granted", names_service),
        ("insufficient_permission", names_service),
        ("sudo_required", policy.needs_sudo(action) && !policy.is_for_people(action)),
        ("interactive_only", policy.is_for_people(action)),
    ]
    .into_iter()
    .filter_map(|(code, can_be)| can_be.then_some(code))
    .collect()
}

fn refusal(status: &str, codes: &Value) -> (String, Value) {
    let (words, header) = match status {
        "400" => ("The request cannot be what it says.", None),
        "403" => ("Known, and may not.", None),
        "404" => ("Not there, or not for this caller.", None),
        "409" => ("It would leave things in a state that they must not be in, or was done before.", None),
        "422" => ("Understood, and not possible.", None),
        "429" => ("Too many tries for this login, or nothing left of the hourly quota.", Some("Retry-After")),
        "502" => ("Some cache nodes were not purged; `detail` names them. Purging again is safe.", None),
        other => panic!("words for the status {other}"),
    };
    let mut refusal = problem(words, codes);
    if let Some(name) = header {
        refusal["headers"] = retry(name);
    }
    (status.to_owned(), refusal)
}

fn problem(words: &str, codes: &Value) -> Value {
    let one = json!({ "$ref": "#/components/schemas/Problem", "properties": { "code": { "enum": codes } } });
    json!({ "description": words, "content": { "application/json": { "schema": one } } })
}

/// Lets a refusal be one of OAuth's too.
pub(crate) fn speak_oauth(refusal: &mut Value, errors: &Value) {
    let schema = &mut refusal["content"]["application/json"]["schema"];
    let one =
        json!({ "$ref": "#/components/schemas/OauthError", "properties": { "error": { "enum": errors } } });
    *schema = json!({ "anyOf": [one, schema] });
}

fn retry(name: &str) -> Value {
    json!({ name: { "description": "In how many seconds to try again.", "schema": { "type": "integer", "minimum": 0 } } })
}

/// The answers that are the same wherever they can be given.
pub(crate) fn shared() -> Value {
    let mut nobody = problem("No token, or none that may act.", &json!(UNAUTHENTICATED));
    let challenge = json!({ "description": "`Bearer`, with `error` where a token was shown.", "schema": { "type": "string" } });
    nobody["headers"] = json!({ "WWW-Authenticate": challenge });
    let mut unavailable = problem("Not a no: try again.", &json!(UNAVAILABLE));
    unavailable["headers"] = retry("Retry-After");
    let mut shared = json!({
        "Unauthenticated": nobody,
        "Internal": problem("A mistake in Keygate.", &json!(["internal"])),
        "Unavailable": unavailable,
    });
    for answer in shared.as_object_mut().into_iter().flatten().map(|(_, answer)| answer) {
        tell_quota(answer);
    }
    shared
}

/// Adds the headers of the quota to an answer.
pub(crate) fn tell_quota(answer: &mut Value) {
    for (on_the_wire, name) in
        [("Fastly-RateLimit-Remaining", "Remaining"), ("Fastly-RateLimit-Reset", "Reset")]
    {
        answer["headers"][on_the_wire] = json!({ "$ref": format!("#/components/headers/{name}") });
    }
}

/// What the door for proxies answers.
pub(crate) fn forward_auth() -> Map<String, Value> {
    let header = |words: &str| json!({ "description": words, "schema": { "type": "string" } });
    let reason = json!({ "X-Authz-Reason": header("The code of the refusal.") });
    let identity = json!({
        "X-Auth-Token-Id": header("The token."),
        "X-Auth-Subject": header("Who acts: the person's id, or the automation token's."),
        "X-Auth-Subject-Type": header("`user` or `automation`."),
        "X-Auth-Customer-Id": header("Whose it is."),
    });
    let answers = json!({
        "200": { "description": "It may pass. No body.", "headers": identity },
        "401": { "description": "No token, or none that may act. No body.", "headers": reason },
        "403": { "description": "It may not pass. No body.", "headers": reason },
        "503": { "description": "Cannot tell, or the proxy does not say what it was asked for. No body.", "headers": reason },
    });
    object(&answers).clone()
}

/// Every code, with what to do about it.
pub(crate) fn codes() -> Value {
    let text = crate::read("crates/server/openapi/codes.yaml");
    let words: Value = serde_norway::from_str(&text).expect("codes.yaml is YAML");
    let table: String = object(&words)
        .iter()
        .map(|(code, what)| format!("| `{code}` | {} |\n", what.as_str().expect("a sentence")))
        .collect();
    json!({
        "type": "string",
        "description": format!("Stable: program against it.\n\n| code | what it means, and what to do |\n|---|---|\n{table}"),
        "enum": object(&words).keys().collect::<Vec<_>>(),
    })
}
