//! The lists in the files that we ship are whole.

use keygate_server::ways::identity::NAMES;
use serde_json::Value;

use crate::edge::at;

/// All documents of a file.
fn read(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(at(file)).expect("a file that we ship");
    text.split("\n---\n").map(|text| serde_norway::from_str(text).expect("YAML")).collect()
}

/// Every value under a key, wherever that is.
fn under<'a>(key: &str, value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key));
            fields.values().for_each(|value| under(key, value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| under(key, value, found)),
        _ => {}
    }
}

/// The texts in what stands under a key, sorted.
fn texts(file: &str, key: &str, entry: Option<&str>) -> Vec<String> {
    let documents = read(file);
    let mut found = Vec::new();
    documents.iter().for_each(|document| under(key, document, &mut found));
    assert_eq!(found.len(), 1, "{file}: {key}");
    let list = found[0].get("patterns").unwrap_or(found[0]).as_array().expect("a list");
    let text =
        |value: &Value| entry.map_or(value, |entry| &value[entry]).as_str().map(str::to_ascii_lowercase);
    let mut texts: Vec<_> = list.iter().filter_map(text).collect();
    texts.sort();
    texts
}

#[test]
fn they_name_every_identity_header() {
    let mut names: Vec<_> = NAMES.iter().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    assert_eq!(texts("deploy/envoy/http.yaml", "allowed_upstream_headers", Some("exact")), names);
    assert_eq!(texts("deploy/kubernetes/gateway-api/http.yaml", "allowedResponseHeaders", None), names);
    // Envoy makes an id of its own for whoever comes from outside.
    names.retain(|name| name != "x-request-id");
    for file in ["deploy/envoy/http.yaml", "deploy/envoy/grpc.yaml"] {
        assert_eq!(texts(file, "request_mutations", Some("remove")), names, "{file}");
    }
}

#[test]
fn they_show_keygate_what_it_must_refuse() {
    let ours = texts("deploy/kubernetes/gateway-api/http.yaml", "allowedHeaders", None);
    let envoys = texts("deploy/envoy/http.yaml", "allowed_headers", Some("exact"));
    for name in ["fastly-key", "x-request-id", "x-http-method", "x-http-method-override", "x-method-override"]
    {
        assert!(ours.iter().chain(&envoys).filter(|known| *known == name).count() == 2, "{name}");
    }
    for name in
        ["x-forwarded-for", "x-forwarded-uri", "x-forwarded-method", "x-forwarded-prefix", "x-original-url"]
    {
        assert!(ours.iter().any(|known| known == name), "{name}");
    }
    assert_eq!(
        texts("deploy/envoy/http.yaml", "allowed_headers", Some("prefix")),
        ["x-forwarded-", "x-original-"]
    );
}
