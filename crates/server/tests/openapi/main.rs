//! The document of the API, `openapi.json`: put together from its parts, and held against the router, the policy, the
//! code and itself.

mod document;
mod door;
mod examples;
mod layout;
mod reference;
mod rules;

use std::{fs, path::PathBuf};

use serde_json::Value;

/// A file of the workspace.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// Holds a made file against what it is made from, or writes it if `KEYGATE_WRITE` says so.
fn is_as_made(name: &str, made: &str) {
    if std::env::var_os("KEYGATE_WRITE").is_some() {
        fs::write(path(name), made).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    let there = fs::read_to_string(path(name)).unwrap_or_default();
    assert!(there == made, "{name} is stale: make it anew with `./dev reference`");
}

/// The operations of the document with their routes, as the router writes them.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (route(method, path), operation))
        })
        .collect()
}

/// `post` and `/purge/{url}` as the router writes them: `POST /purge/{*url}`.
fn route(method: &str, path: &str) -> String {
    format!("{} {}", method.to_uppercase(), path.replace("{url}", "{*url}"))
}
