//! Policies made from OpenAPI documents: as written down, against a naive reading of the documents, kept at updates, and
//! with documents that nobody would write.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]
#![expect(clippy::print_stderr, reason = "what was not judged is said")]

mod meaning;
mod naive;
mod random;
mod refusals;
mod rules;
mod update;

use std::{
    fs,
    path::{Path, PathBuf},
};

use keygate_server::openapi_import::{Imported, Options, import};

/// Documents of other makers, which stand beside the project and not in it: name, host, how many operations.
const OTHERS: [(&str, &str, usize); 9] = [
    ("oai-api-with-examples-3.0.json", "api.example.com", 2),
    ("oai-link-example-3.0.yaml", "api.example.com", 6),
    ("oai-non-oauth-scopes-3.1.yaml", "api.example.com", 1),
    ("oai-petstore-expanded-3.0.yaml", "", 4),
    ("oai-tictactoe-3.1.yaml", "api.example.com", 3),
    ("oai-uspto-3.0.yaml", "", 3),
    ("redocly-museum-3.1.yaml", "", 8),
    ("oxide-gateway-3.0.json", "api.example.com", 36),
    ("oxide-nexus-3.0.json", "api.example.com", 315),
];

#[test]
fn policies_are_as_written_down() {
    let mut made = vec![("shop.yaml", imported(&own("shop.yaml"), &Options::named("shop")))];
    for (name, host, _) in OTHERS {
        let small = !name.starts_with("oxide");
        made.extend(other(name).filter(|_| small).map(|text| (name, imported(&text, &at(host)))));
    }
    for (name, done) in made {
        let stem = name.split_once('.').unwrap().0.trim_end_matches("-3");
        let warnings: Vec<_> = done.warnings.iter().map(|warning| format!("{warning}\n")).collect();
        is_as_made(&format!("{stem}.toml"), &done.policy);
        is_as_made(&format!("{stem}.warnings.txt"), &warnings.concat());
    }
}

#[test]
fn documents_of_other_makers_lose_nothing() {
    for (name, host, operations) in OTHERS {
        let Some(text) = other(name) else { continue };
        let done = imported(&text, &at(host));
        let policy: toml::Table = done.policy.parse().unwrap();
        let routes = policy["routes"].as_table().unwrap();
        assert_eq!(routes.len(), operations, "{name}");
        assert!(routes.values().all(|route| route.get("action").is_some()), "{name}");
    }
}

/// Without paths there is nothing that a gate could let in.
#[test]
fn a_document_of_webhooks_is_no_api() {
    let Some(text) = other("oai-webhook-example-3.1.yaml") else { return };
    let why = import(&text, &at("api.example.com")).unwrap_err();
    assert_eq!(why.to_string(), "paths: the document has no operations to make a policy of");
}

fn imported(text: &str, options: &Options) -> Imported {
    import(text, options).unwrap_or_else(|why| panic!("{why}"))
}

/// Options for a document that is served at `host`, if it does not say where itself.
fn at(host: &str) -> Options {
    let hosts = if host.is_empty() { Vec::new() } else { vec![host.to_owned()] };
    Options { hosts, ..Options::named("api") }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

fn own(name: &str) -> String {
    fs::read_to_string(here().join("documents").join(name)).unwrap()
}

/// None where the project stands alone.
fn other(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/openapi").join(name);
    let text = fs::read_to_string(path).ok();
    if text.is_none() {
        eprintln!("not judged: {name} is not beside the project");
    }
    text
}

/// Holds a made file against the one that is kept, or writes it if `KEYGATE_WRITE` says so.
fn is_as_made(name: &str, made: &str) {
    let path = here().join("policies").join(name);
    if std::env::var_os("KEYGATE_WRITE").is_some() {
        fs::write(&path, made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{name} is not as it was; look at it with KEYGATE_WRITE=1 and git diff:\n{made}");
}
