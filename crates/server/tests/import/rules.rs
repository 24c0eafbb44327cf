//! docs/policies-from-openapi.md, rule by rule, where the shop does not show it.

use keygate_server::openapi_import::{ActionFrom, Customers, Imported, Options};

use super::{at, imported, meaning::Meaning};

fn made(paths: &str, options: &Options) -> Imported {
    imported(&format!("openapi: 3.1.0\ninfo: {{ title: T, version: 1 }}\n{paths}"), options)
}

fn plainly(paths: &str) -> Imported {
    made(paths, &at("api.example.com"))
}

fn warns(done: &Imported, of: &str) -> bool {
    done.warnings.iter().any(|warning| warning.to_string().contains(of))
}

#[test]
fn security_that_is_not_there_does_not_open_anything() {
    for security in ["", "security: []\n", "security: [{}]\n"] {
        let done = plainly(&format!(
            "{security}paths: {{ /a: {{ get: {{}} }}, /b: {{ get: {{ security: [] }} }} }}"
        ));
        let meaning = Meaning::of(&done.policy);
        for path in ["/a", "/b"] {
            assert!(!meaning.allows("GET", path, &[]), "{security} {path}");
            assert!(meaning.allows("GET", path, &["global"]), "{security} {path}");
        }
        assert!(warns(&done, "need one all the same until they are made public: GET /b"));
        assert_eq!(warns(&done, "this would open the whole API"), !security.is_empty());
    }
}

#[test]
fn only_an_operation_by_itself_is_public_and_only_if_that_is_asked_for() {
    let options = Options { public_from_security: true, ..at("api.example.com") };
    let paths = "security: []\npaths:\n  /root: { get: {} }\n  /own: { get: { security: [] } }\n  \
                 /either: { get: { security: [{}, { k: [a] }] } }\n  /not: { get: { security: [], x-keygate-public: false } }\n";
    let meaning = Meaning::of(&made(paths, &options).policy);
    let open = ["/root", "/own", "/either", "/not"].map(|path| meaning.allows("GET", path, &[]));
    assert_eq!(open, [false, true, true, false]);
}

#[test]
fn a_shared_action_is_as_narrow_as_its_narrowest_operation() {
    let done = plainly(
        "paths:\n  /a: { get: { x-keygate-action: x, security: [{ k: [r] }] } }\n  \
         /b: { post: { x-keygate-action: x, x-keygate-sudo: true, security: [{ k: [r] }, { k: [w] }] } }\n  \
         /c: { get: { security: [{ k: [w] }] } }\n",
    );
    assert!(done.policy.contains("\"x\" = { sudo = true }"), "{}", done.policy);
    assert!(done.policy.contains("\"r\" = [\"x\"]"));
    assert!(done.policy.contains("\"w\" = [\"c:get\"]"));
    assert!(warns(&done, "share the action \"x\""));
}

#[test]
fn two_operations_that_no_request_tells_apart_are_denied() {
    let done = plainly(
        "paths: { '/u/{id}': { get: { operationId: a } }, '/u/{name}': { get: { operationId: b } } }",
    );
    assert!(done.policy.contains("#: a\n#: b\n# Denied"), "{}", done.policy);
    assert!(!Meaning::of(&done.policy).allows("GET", "/u/1", &["global"]));
}

#[test]
fn of_two_paths_that_cross_only_what_they_share_is_denied() {
    let done = plainly("paths: { '/books/{id}': { get: {} }, '/{kind}/me': { get: {} } }");
    let meaning = Meaning::of(&done.policy);
    assert!(!meaning.allows("GET", "/books/me", &["global"]));
    assert!(
        meaning.allows("GET", "/books/1", &["global"]) && meaning.allows("GET", "/films/me", &["global"])
    );
}

/// A route that the gate's reading of paths denies before it looks for one is there all the same, to be seen.
#[test]
fn what_a_policy_cannot_say_is_denied_and_told() {
    for (path, ask, why, is_known) in [
        ("/{lat},{lon}", "/1,2", "a policy has one parameter in a segment", true),
        ("/{proxy+}", "/a/b", "a parameter for several segments", true),
        ("/{a}/{a}", "/1/1", "the same parameter stands in it twice", true),
        ("/a;{x}", "/a;1", "characters that servers read in two ways", false),
        ("/a//b", "/a//b", "characters that servers read in two ways", false),
        ("/größe", "/größe", "characters that servers read in two ways", false),
    ] {
        let done = plainly(&format!("paths: {{ '{path}': {{ get: {{}} }} }}"));
        assert!(warns(&done, why), "{path}: {:?}", done.warnings);
        let meaning = Meaning::of(&done.policy);
        assert!(!meaning.allows("GET", ask, &["global"]), "{path}");
        assert_eq!(meaning.is_unclassified("GET", ask), is_known, "{path}");
    }
}

#[test]
fn what_has_no_route_is_not_decided_by_the_route_of_another() {
    let done = plainly(
        "paths: { '/a{x}': { get: {} }, '/{y}b': { get: {} }, '/{z}': { get: {} }, '/a1b': { get: {} } }",
    );
    let meaning = Meaning::of(&done.policy);
    let allows = ["/a1b", "/ab1b", "/a1", "/1b", "/1"].map(|path| meaning.allows("GET", path, &["global"]));
    assert_eq!(allows, [true, false, false, false, false], "{}", done.policy);
    assert!(done.policy.contains("# GET /{y}b has no route, and so is denied"), "{}", done.policy);
}

#[test]
fn a_service_is_a_parameter_that_the_path_has() {
    let paths = "x-keygate-service: project\npaths:\n  /p/{project}/a: { get: {} }\n  /q: { get: {} }\n  \
                 /p/{project}/b: { get: { x-keygate-service: false } }\n  \
                 /p/{project}/c/{d}: { x-keygate-service: d, get: {} }\n  \
                 /p/{project}/e/{f}: { parameters: [{ name: f, in: path, x-keygate-service: true }], get: {} }\n  \
                 /p/{project}/g: { get: { x-keygate-service: typo } }\n  /s/{service}: { get: {} }\n";
    let done = plainly(paths);
    for line in [
        "\"GET /p/{project}/a\" = { action = \"p.project.a:get\", service = \"project\" }",
        "\"GET /q\" = { action = \"q:get\" }",
        "\"GET /p/{project}/b\" = { action = \"p.project.b:get\" }",
        "\"GET /p/{project}/c/{d}\" = { action = \"p.project.c.d:get\", service = \"d\" }",
        "\"GET /p/{project}/e/{f}\" = { action = \"p.project.e.f:get\", service = \"f\" }",
        "\"GET /p/{project}/g\" = { unclassified = true }",
        "\"GET /s/{service_}\" = { action = \"s.service:get\" }",
    ] {
        assert!(done.policy.contains(line), "{line} in\n{}", done.policy);
    }
    assert!(warns(&done, "nothing says that {service} is the id"));
    let options = Options { service_param: Some("service".to_owned()), ..at("api.example.com") };
    let done = made("paths: { '/s/{service}': { get: {} } }", &options);
    assert!(
        done.policy.contains("\"GET /s/{service}\" = { action = \"s.service:get\", service = \"service\" }")
    );
}

#[test]
fn methods_are_those_of_a_policy() {
    let done = plainly(
        "paths: { /a: { head: {}, trace: {}, query: {}, Get: {}, parameters: [], x-other: 1 }, /b: { get: {}, head: {} } }",
    );
    assert!(
        done.policy.contains("\"GET /a\" = { action = \"a:get\" }") && done.policy.contains("\"GET /b\"")
    );
    assert_eq!(done.policy.matches(" = { action").count(), 2);
    let told: Vec<_> = done.warnings.iter().map(|warning| warning.place.as_str()).collect();
    assert_eq!(told, ["paths./a.head", "paths./a.trace", "paths./a.query", "paths./a.Get", "paths./b.head"]);
}

#[test]
fn servers_are_unfolded() {
    let done = made(
        "servers:\n- url: '{scheme}://{place}.Example.com:{port}/{base}/'\n  variables:\n    scheme: { enum: [http, https], default: https }\n    \
         place: { enum: [eu, us], default: eu }\n    port: { default: '8443' }\n    base: { default: v1 }\n\
         paths:\n  /a: { get: {} }\n  /b/: { get: { servers: [{ url: 'https://files.example.com' }] } }\n",
        &Options::named("api"),
    );
    assert!(done.policy.contains("hosts = [\"eu.example.com\", \"us.example.com\", \"files.example.com\"]"));
    assert!(done.policy.contains("\"GET /v1/a\"") && done.policy.contains("\"GET /b/\""));
    assert!(
        warns(&done, "GET files.example.com/v1/a, GET eu.example.com/b/, GET us.example.com/b/"),
        "{:?}",
        done.warnings
    );
    let options = Options { base_path: Some("/v9".to_owned()), ..at("other.example.com") };
    let done =
        made("servers: [{ url: /v1 }, { url: 'https://x.y/v2' }]\npaths: { /a: { get: {} } }", &options);
    assert!(done.policy.contains("hosts = [\"other.example.com\"]"));
    assert_eq!(done.policy.matches("GET /v9/a").count(), 1);
}

#[test]
fn actions_can_be_named_after_tags() {
    let options = Options { action_from: ActionFrom::Tag, ..at("api.example.com") };
    let done = made(
        "paths:\n  /a: { get: { tags: [The Pets], security: [{ k: [r] }] }, put: { tags: [The Pets] } }\n  \
         /b: { get: { tags: [The Pets], security: [{ k: [r] }] } }\n  /c: { get: { tags: [The Pets], security: [{ k: [w] }] } }\n  \
         /d: { get: {} }\n",
        &options,
    );
    let actions = "\"the_pets:read\" = { read = true }\n\"the_pets:write\" = {}\n\"the_pets:read-2\" = { read = true }\n\"untagged:read\"";
    assert!(done.policy.contains(actions), "{}", done.policy);
    assert!(done.policy.contains("\"r\" = [\"the_pets:read\"]\n\"w\" = [\"the_pets:read-2\"]"));
}

#[test]
fn roles_get_what_scopes_have() {
    let roles = vec![
        ("clerk".to_owned(), vec!["r".to_owned(), "w".to_owned()]),
        ("engineer".to_owned(), vec!["*".to_owned()]),
    ];
    let customers = Customers::Only(vec!["2bnxfYoNbcBYMUUHIVj6D6".to_owned()]);
    let options = Options { roles, customers, ..at("api.example.com") };
    let done = made(
        "paths: { /a: { get: { security: [{ k: [r] }] }, put: { security: [{ k: [w] }, { k: [r] }] } } }",
        &options,
    );
    assert!(
        done.policy.contains("[roles]\n\"clerk\" = [\"a:get\", \"a:put\"]\n\"engineer\" = [\"*\"]\n"),
        "{}",
        done.policy
    );
}

#[test]
fn a_typing_error_in_an_extension_is_told() {
    let done = plainly(
        "x-keygate-services: a\npaths: { /a: { x-keygate-public: true, get: { x-keygate-pubic: true } } }",
    );
    let told: Vec<_> = done.warnings.iter().map(|warning| warning.place.as_str()).collect();
    assert_eq!(told, ["x-keygate-services", "paths./a.x-keygate-public", "paths./a.get.x-keygate-pubic"]);
}

#[test]
fn what_stands_for_several_parameters_is_no_reason_to_let_anything_in() {
    for (paths, ask) in [
        (vec!["/{item}.json", "/{from}-{to}"], "/a-b.json"),
        (vec!["/{p}/{s}.{t}", "/{q}b/{p}"], "/ab/b.a"),
        (vec!["/{p}/a", "/{p}/{s}.{t}", "/{s}.{t}/{p}"], "/b.a/a"),
    ] {
        let items: Vec<_> = paths.iter().map(|path| format!("'{path}': {{ get: {{}} }}")).collect();
        let done = plainly(&format!("paths: {{ {} }}", items.join(", ")));
        assert!(!Meaning::of(&done.policy).allows("GET", ask, &["global"]), "{ask} of\n{}", done.policy);
    }
}

#[test]
fn nothing_in_a_document_ends_a_comment_or_a_name() {
    let document = r#"{ "openapi": "3.1.0",
        "info": { "title": "T\n[scopes]\n\"x\" = [\"*\"]", "version": 1 },
        "paths": { "/a\"b\\\u0007": { "get": { "summary": "S\u0000\r\npublic\u2028x\u202e" } }, "/c\"d": { "get": {} } } }"#;
    let done = imported(document, &at("api.example.com"));
    let meaning = Meaning::of(&done.policy);
    assert!(meaning.scopes().is_empty());
    assert!(
        meaning.allows("GET", "/c\"d", &["global"]) && !meaning.allows("GET", "/a\"b\\\u{7}", &["global"])
    );
    assert!(done.policy.contains(r#""GET /a\"b\\\u0007" = { unclassified = true }"#), "{}", done.policy);
    assert!(
        done.policy.contains(": S public x\n")
            && done.policy.starts_with("# T [scopes] \"x\" = [\"*\"] 1: what")
    );
}
