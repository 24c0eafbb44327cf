//! A second reading of the documents, naive and by itself, for all operations and many tokens.

use std::collections::BTreeSet;

use keygate_server::openapi_import::Options;
use serde_json::Value;

use super::{OTHERS, at, imported, meaning::Meaning, other, own};

/// Operations that the import must deny to everybody, since a policy cannot tell them from others.
const DENIED: [&str; 2] = ["GET /ranges/{range}", "GET /ranges/{from}-{to}"];

#[test]
fn a_policy_means_what_its_document_says() {
    let mut judged = 0;
    let shop = (own("shop.yaml"), Options::named("shop"), vec!["/v2".to_owned()]);
    let others = OTHERS.into_iter().filter_map(|(name, host, _)| Some((other(name)?, at(host), Vec::new())));
    for (text, options, bases) in [shop].into_iter().chain(others) {
        let document: Value = serde_norway::from_str(&text).unwrap();
        let meaning = Meaning::of(&imported(&text, &options).policy);
        let tokens = tokens(&meaning);
        for operation in operations(&document, &bases) {
            for token in &tokens {
                let says = operation.lets(token) && !DENIED.contains(&&*operation.on());
                let means = meaning.allows(&operation.method, &operation.example, token);
                assert_eq!(means, says, "{} with {token:?}", operation.on());
                let own = token.iter().any(|scope| scope.starts_with("global"));
                assert!(!means || own || operation.lets_one_by_one(token), "{} is wider", operation.on());
                judged += 1;
            }
        }
    }
    assert!(judged > 500, "only {judged} were judged");
}

/// No token, each scope alone, each pair of them, and Keygate's own.
fn tokens(meaning: &Meaning) -> Vec<Vec<&str>> {
    let scopes = meaning.scopes();
    let pairs = scopes.iter().flat_map(|one| scopes.iter().map(move |other| vec![*one, *other]));
    let alone = scopes.iter().map(|scope| vec![*scope]);
    let own = [vec![], vec!["global"], vec!["global:read"]];
    own.into_iter().chain(alone).chain(pairs).collect()
}

struct Operation<'d> {
    method: String,
    path: String,
    example: String,
    itself: &'d Value,
    security: &'d Value,
}

impl Operation<'_> {
    fn on(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether one of the token's scopes, read as all the scopes that `+` joins in it, is enough.
    fn lets(&self, token: &[&str]) -> bool {
        let reads = self.itself["x-keygate-read"].as_bool().unwrap_or(self.method == "GET");
        self.itself["x-keygate-public"] == true
            || token.contains(&"global")
            || (token.contains(&"global:read") && reads)
            || token.iter().any(|scope| self.is_met(&held(&[scope])))
    }

    /// Whether all of the token's scopes together are enough: the document's own rule.
    fn lets_one_by_one(&self, token: &[&str]) -> bool {
        self.itself["x-keygate-public"] == true || self.is_met(&held(token))
    }

    fn is_met(&self, held: &BTreeSet<String>) -> bool {
        let alternatives = self.security.as_array().into_iter().flatten();
        let needs = |alternative: &Value| -> BTreeSet<String> {
            let lists = alternative.as_object().unwrap().values();
            lists.flat_map(|list| list.as_array().unwrap()).map(|s| s.as_str().unwrap().to_owned()).collect()
        };
        alternatives.map(needs).any(|needs| !needs.is_empty() && needs.is_subset(held))
    }
}

/// The document's scopes that the policy's stand for.
fn held(token: &[&str]) -> BTreeSet<String> {
    let scopes = token.iter().filter(|scope| !scope.starts_with("global"));
    let words = scopes.flat_map(|scope| scope.trim_start_matches("shop:global").split('+'));
    words.map(|word| if word == ":read" { "global:read".to_owned() } else { word.to_owned() }).collect()
}

fn operations<'d>(document: &'d Value, bases: &[String]) -> Vec<Operation<'d>> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let item = item["$ref"].as_str().map_or(item, |target| document.pointer(&target[1..]).unwrap());
        for (method, itself) in item.as_object().unwrap() {
            let is_dropped = method == "trace" || method == "head";
            if is_dropped || !itself.is_object() {
                continue;
            }
            let base = item["servers"].as_array().map_or_else(|| base(document, bases), |_| String::new());
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                example: format!("{base}{}", filled(path)),
                itself,
                security: itself.get("security").unwrap_or(&document["security"]),
            });
        }
    }
    operations
}

fn base(document: &Value, bases: &[String]) -> String {
    let url = document["servers"][0]["url"].as_str().unwrap_or_default();
    let of_url =
        url.split_once("://").map_or(url, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let of_url = if of_url.is_empty() { String::new() } else { format!("/{of_url}") };
    bases.first().cloned().unwrap_or(of_url)
}

/// The path with something in the place of each parameter.
fn filled(path: &str) -> String {
    let mut text = String::new();
    for piece in path.split('{') {
        match piece.split_once('}') {
            Some((name, rest)) => text.push_str(&format!("a{}z{rest}", name.len())),
            None => text.push_str(piece),
        }
    }
    text
}
