//! The shipped files name what Keygate names, and nothing that must not be turned on.

use std::collections::BTreeSet;

use keygate_server::ways::identity;
use serde_norway::Value;

use crate::proxy::shipped;

#[test]
fn every_file_names_every_identity_header() {
    for file in ["nginx/keygate.conf", "nginx/keygate-headers.conf", "caddy/Caddyfile", "haproxy/keygate.lua"]
    {
        // nginx writes the headers of an answer as variables.
        let text = shipped(file).to_ascii_lowercase().replace('_', "-");
        for name in identity::NAMES {
            assert!(text.contains(name.as_str()), "{file} lacks {name}");
        }
    }
}

#[test]
fn traefiks_file_takes_over_whom_keygate_names_and_takes_the_credential_away() {
    let file: Value = serde_norway::from_str(&shipped("traefik/keygate.yaml")).expect("YAML");
    let at = |path: &str| path.split('.').fold(&file, |value, key| &value[key]);
    let asks = at("http.middlewares.keygate.forwardAuth");
    let names = asks["authResponseHeaders"].as_sequence().expect("a list");
    let names: BTreeSet<_> =
        names.iter().filter_map(|name| Some(name.as_str()?.to_ascii_lowercase())).collect();
    assert_eq!(names, identity::NAMES.iter().map(ToString::to_string).collect());
    assert!(asks["address"].as_str().is_some_and(|address| address.ends_with("/authz/traefik")));
    for key in ["trustForwardHeader", "authRequestHeaders", "authResponseHeadersRegex"] {
        assert!(asks.get(key).is_none(), "{key} must not be set");
    }
    let removed = &at("http.middlewares.keygate-credential.headers.customRequestHeaders");
    for name in ["Fastly-Key", "Authorization", "Connection", "X-Forwarded-Uri", "X-Original-URL"] {
        assert_eq!(removed[name].as_str(), Some(""), "{name}");
    }
    let order: Vec<_> =
        at("http.routers.api.middlewares").as_sequence().expect("a list").iter().map(Value::as_str).collect();
    assert_eq!(order, [Some("keygate"), Some("keygate-credential")]);
}
