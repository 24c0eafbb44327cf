//! The document held against what it is about.

use std::collections::BTreeSet;

use keygate_model::{
    Policy,
    policy::{Access, OWN_POLICY},
};
use keygate_server::router::table;
use serde_json::Value;

use crate::{document::document, is_as_made, layout::lay_out, operations, path};

/// Answered before the router, so it stands in no table.
const BEFORE_THE_ROUTER: &str = "GET /authz/auth-request";

#[test]
fn the_document_is_what_its_parts_make() {
    is_as_made("crates/server/openapi.json", &format!("{}\n", lay_out(&document())));
}

#[test]
fn every_route_is_a_path_and_every_path_a_route() {
    let document = document();
    let paths: BTreeSet<_> = operations(&document).into_iter().map(|(on, _)| on).collect();
    let mut routes: BTreeSet<_> = table().into_iter().map(|(on, _)| on.to_owned()).collect();
    routes.insert(BEFORE_THE_ROUTER.to_owned());
    assert_eq!(paths, routes, "left: the document; right: the router's table");
}

/// Not by the way that makes the document: each claim is looked up in the policy by itself.
#[test]
fn what_an_operation_needs_is_what_the_policy_says() {
    let (document, policy) = (document(), Policy::compile(OWN_POLICY).expect("the own policy compiles"));
    for route in policy.routes() {
        let operations = operations(&document);
        let (_, operation) = operations.iter().find(|(on, _)| *on == route.on).expect("a path");
        let needs = &operation["x-keygate-action"];
        let (credential, action) = match route.access {
            Access::Public => ("none", None),
            Access::Unclassified => ("refused", None),
            Access::Action(action) => ("required", Some(action)),
            Access::ActionIfAny(action) => ("optional", Some(action)),
        };
        assert_eq!(needs["credential"], credential, "{}", route.on);
        assert_eq!(needs["action"].as_str(), action.map(|action| policy.name(action)), "{}", route.on);
        let Some(action) = action else { continue };
        for name in policy.scope_names() {
            let said = needs["scopes"].as_array().expect("scopes").contains(&name.into());
            assert_eq!(
                said,
                policy.scope(name).is_some_and(|set| set.contains(action)),
                "{}: {name}",
                route.on
            );
        }
        for name in policy.role_names() {
            let said = needs["roles"].as_array().expect("roles").contains(&name.into());
            assert_eq!(
                said,
                policy.role(name).is_some_and(|set| set.contains(action)),
                "{}: {name}",
                route.on
            );
        }
        assert_eq!(needs["sudo"] == true, policy.needs_sudo(action), "{}", route.on);
        assert_eq!(needs["counted"] == true, policy.is_counted(action), "{}", route.on);
        assert_eq!(needs["urgent"] == true, policy.is_urgent(action), "{}", route.on);
    }
}

#[test]
fn what_counts_for_the_quota_says_so_in_every_answer_and_refuses_only_what_can_wait() {
    let (document, policy) = (document(), Policy::compile(OWN_POLICY).expect("the own policy compiles"));
    for (on, operation) in operations(&document) {
        let action = operation["x-keygate-action"]["action"].as_str().and_then(|name| policy.action(name));
        let counts = action.is_some_and(|action| policy.is_counted(action));
        let answers = operation["responses"].as_object().expect("responses");
        for (status, answer) in answers.iter().filter(|(_, answer)| !answer["$ref"].is_string()) {
            for header in ["Fastly-RateLimit-Remaining", "Fastly-RateLimit-Reset"] {
                assert_eq!(answer["headers"][header].is_object(), counts, "{on} {status} {header}");
            }
        }
        let codes =
            &operation["responses"]["429"]["content"]["application/json"]["schema"]["properties"]["code"];
        let can_be =
            codes["enum"].as_array().is_some_and(|codes| codes.iter().any(|code| code == "rate_limited"));
        let can_wait = action.is_some_and(|action| !policy.is_urgent(action));
        assert_eq!(can_be, counts && can_wait, "{on}");
    }
}

#[test]
fn operation_ids_are_there_once() {
    let document = document();
    let ids: Vec<_> = operations(&document).iter().map(|(_, one)| one["operationId"].clone()).collect();
    let once: BTreeSet<_> = ids.iter().map(|id| id.as_str().expect("an operationId")).collect();
    assert_eq!(once.len(), ids.len());
}

#[test]
fn every_code_is_in_the_sources_and_every_refusal_in_the_list() {
    let document = document();
    let codes = document["components"]["schemas"]["Code"]["enum"].as_array().expect("codes").clone();
    let mut sources = String::new();
    for folder in ["model", "authority", "server"] {
        gather(&path(&format!("crates/{folder}/src")), &mut sources);
    }
    for code in &codes {
        assert!(sources.contains(&code.to_string()), "no source says {code}");
    }
    for found in all(&document, "enum") {
        let is_codes = found
            .as_array()
            .is_some_and(|list| list.iter().any(|code| code == "not_found" || code == "no_rule"));
        let unknown: Vec<_> =
            found.as_array().into_iter().flatten().filter(|code| !codes.contains(code)).collect();
        assert!(!is_codes || unknown.is_empty(), "not in codes.yaml: {unknown:?}");
    }
}

#[test]
fn every_reference_resolves() {
    let document = document();
    for reference in all(&document, "$ref") {
        let target =
            reference.as_str().and_then(|text| text.strip_prefix('#')).expect("a place in the document");
        assert!(document.pointer(target).is_some(), "{reference} names nothing");
    }
}

#[test]
fn every_component_is_used() {
    let document = document();
    let used: BTreeSet<_> = all(&document, "$ref").into_iter().filter_map(Value::as_str).collect();
    for kind in ["schemas", "parameters", "headers", "responses"] {
        for name in document["components"][kind].as_object().expect("components").keys() {
            assert!(
                used.contains(format!("#/components/{kind}/{name}").as_str()),
                "nothing uses {kind}/{name}"
            );
        }
    }
}

/// Every value under this name, wherever it stands.
pub(crate) fn all<'d>(value: &'d Value, name: &str) -> Vec<&'d Value> {
    let mut found = Vec::new();
    match value {
        Value::Object(members) => {
            found.extend(members.get(name));
            found.extend(members.values().flat_map(|member| all(member, name)));
        }
        Value::Array(items) => found.extend(items.iter().flat_map(|item| all(item, name))),
        _ => {}
    }
    found
}

fn gather(folder: &std::path::Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, text);
        } else {
            text.push_str(&std::fs::read_to_string(&path).unwrap_or_default());
        }
    }
}
