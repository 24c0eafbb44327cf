//! Documents that nobody would write.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use keygate_server::openapi_import::{Options, import};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{at, meaning::Meaning, own};

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Anything at all, in words that mean something at some place.
    #[test]
    fn nothing_panics(mut document in anything(), servers in prop::option::of(anything())) {
        if let Some(map) = document.as_object_mut() {
            map.insert("openapi".to_owned(), json!("3.1.0"));
            map.extend(servers.map(|servers| ("servers".to_owned(), servers)));
        }
        let existing = import(&document.to_string(), &at("a.b")).map(|done| done.policy);
        if let Ok(policy) = &existing {
            Meaning::of(policy);
            let options = Options { existing: Some(policy.clone()), ..at("a.b") };
            let again = import(&document.to_string(), &options).unwrap();
            prop_assert!(again.policy == *policy || !again.added.is_empty());
            Meaning::of(&again.policy);
        }
    }

    /// A document with pieces of it cut out, doubled and garbled.
    #[test]
    fn no_text_panics(edits in prop::collection::vec((0.0..1.0f64, 0usize..40, ".{0,3}"), 1..6)) {
        let mut text: Vec<char> = own("shop.yaml").chars().collect();
        for (place, length, new) in edits {
            let start = (place * text.len() as f64) as usize;
            let end = (start + length).min(text.len());
            text.splice(start..end, new.chars());
        }
        if let Ok(done) = import(&text.into_iter().collect::<String>(), &at("a.b")) {
            Meaning::of(&done.policy);
        }
    }

    /// Whatever a newer document has: nothing is let in by it that was not let in before, as long as nothing is pruned,
    /// since what a route denied may be one of another's requests.
    #[test]
    fn an_update_never_widens(before in paths(), after in paths(), open in any::<bool>(), prune in any::<bool>()) {
        let older = import(&gets(&before, open), &at("a.b")).unwrap().policy;
        let options = Options { existing: Some(older.clone()), prune, public_from_security: true, ..at("a.b") };
        let newer = import(&gets(&after, !open), &options).unwrap().policy;
        let (older, newer) = (Meaning::of(&older), Meaning::of(&newer));
        for request in requests() {
            let was = older.allows("GET", &request, &["global"]);
            prop_assert!(was || prune || !newer.allows("GET", &request, &["global"]), "{request}");
        }
    }

    /// No request is let in as one operation that could be another, unless that other is less exact in every segment.
    #[test]
    fn what_is_let_in_is_the_most_exact_operation(paths in paths()) {
        let done = import(&gets(&paths, false), &at("a.b")).unwrap();
        let meaning = Meaning::of(&done.policy);
        for request in requests() {
            let meant: Vec<_> = paths.iter().filter(|path| matches(path, &request)).collect();
            let Some(action) = meaning.action("GET", &request) else { continue };
            let chosen = paths.iter().find(|path| done.policy.contains(&format!("\"GET {path}\" = {{ action = \"{action}\" }}")));
            let chosen = chosen.unwrap_or_else(|| panic!("{action} in {}", done.policy));
            for other in meant {
                prop_assert!(is_more_exact(chosen, other), "{request} is {chosen}, and could be {other}\n{}", done.policy);
            }
        }
    }
}

fn paths() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(template(), 1..12)
}

/// A document with a GET of each path, open to everybody if it is asked.
fn gets(paths: &BTreeSet<String>, open: bool) -> String {
    let get = |path: &String| json!({ "get": { "operationId": path, "x-keygate-public": open } });
    let items: Map<String, Value> = paths.iter().map(|path| (path.clone(), get(path))).collect();
    json!({ "openapi": "3.1.0", "paths": items }).to_string()
}

/// Requests for paths like those of [`template`].
fn requests() -> Vec<String> {
    let words = ["a", "b", "ab", "aab", "aabb", "b.a", "x"];
    let two = words.iter().flat_map(|one| words.iter().map(move |two| format!("/{one}/{two}")));
    two.chain(words.iter().map(|word| format!("/{word}"))).collect()
}

/// As large as documents are.
#[test]
fn a_large_document_is_quick() {
    let paths: Map<String, Value> = (0..3000)
        .map(|n| {
            let operation = json!({ "operationId": "same", "summary": "x".repeat(300), "security": [{ "k": [format!("s{}", n % 99)] }] });
            (format!("/v{}/{{a}}/things{n}/{{b}}", n % 7), json!({ "get": operation }))
        })
        .collect();
    let document = json!({ "openapi": "3.1.0", "paths": paths }).to_string();
    assert!(document.len() > 1_000_000);
    #[expect(clippy::disallowed_methods, reason = "the real time is what is judged")]
    let began = Instant::now();
    import(&document, &at("a.b")).unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// A tree of words that mean something at some place in a document.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| json!(number)),
        word().prop_map(Value::String),
        ".{0,8}".prop_map(Value::String),
        Just(json!([{ "k": ["a", "b"] }, { "k": [] }])),
        Just(json!({ "get": { "security": [{ "k": ["a"] }, {}] }, "put": {} })),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((word(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
    .prop_flat_map(|tree| {
        let paths = prop::collection::vec(
            (prop_oneof![template(), ".{0,6}".prop_map(|s| format!("/{s}"))], item()),
            0..6,
        );
        (Just(tree), paths).prop_map(|(mut tree, paths)| {
            if let Some(map) = tree.as_object_mut() {
                map.insert("paths".to_owned(), Value::Object(paths.into_iter().collect()));
            }
            tree
        })
    })
}

fn item() -> impl Strategy<Value = Value> {
    let operation = (".{0,4}", ".{0,9}", prop::option::of(".{0,3}"), any::<bool>()).prop_map(|(id, summary, scope, sudo)| {
        json!({ "operationId": id, "summary": summary, "security": [{ "k": scope.as_slice() }], "x-keygate-sudo": sudo })
    });
    prop::collection::hash_map(
        prop::sample::select(vec!["get", "put", "head", "trace", "options"]),
        operation,
        0..3,
    )
    .prop_map(|methods| json!(methods))
}

fn word() -> impl Strategy<Value = String> {
    let words = [
        "$ref",
        "#/paths/~1a",
        "#/x",
        "security",
        "servers",
        "url",
        "https://{a}.b/{c}",
        "/v1",
        "variables",
        "enum",
        "default",
        "get",
        "parameters",
        "name",
        "in",
        "path",
        "x-keygate-service",
        "x-keygate-action",
        "x-keygate-public",
        "tags",
        "info",
        "title",
        "components",
        "securitySchemes",
        "k",
        "a",
        "operationId",
        "summary",
    ];
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}

/// Short paths of few letters, so that they meet each other.
fn template() -> impl Strategy<Value = String> {
    let segment = || {
        prop::sample::select(vec![
            "a", "b", "ab", "{p}", "{p}", "{q}b", "a{q}", "aa{q}", "{q}bb", "a{r}b", "{s}.{t}", "",
        ])
    };
    prop::collection::vec(segment(), 1..3).prop_map(|segments| {
        let named = segments.iter().enumerate().map(|(at, segment)| segment.replace('}', &format!("{at}}}")));
        named.map(|segment| format!("/{segment}")).collect()
    })
}

fn matches(template: &str, path: &str) -> bool {
    let (templates, segments): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    templates.len() == segments.len()
        && templates.iter().zip(segments).all(|(template, text)| fits(template, text))
}

/// Whether a text is what a segment with any number of parameters stands for.
fn fits(template: &str, text: &str) -> bool {
    let Some((before, rest)) = template.split_once('{') else { return template == text };
    let Some(left) = text.strip_prefix(before) else { return false };
    let behind = rest.split_once('}').unwrap().1;
    (1..=left.len()).any(|length| left.is_char_boundary(length) && fits(behind, &left[length..]))
}

/// Whether everything that the first takes in, the second would take too.
fn is_more_exact(first: &str, second: &str) -> bool {
    let words: Vec<String> =
        ["x", "xx", "a", "b", "ab", "aab", "abb", "aabb", "b.a", "axb", "xbb", "aax", "ax", "xb", "aaxbb"]
            .map(str::to_owned)
            .to_vec();
    let one = words.iter().map(|word| format!("/{word}"));
    let two = words.iter().flat_map(|one| words.iter().map(move |two| format!("/{one}/{two}")));
    one.chain(two).filter(|path| matches(first, path)).all(|path| matches(second, &path))
}
