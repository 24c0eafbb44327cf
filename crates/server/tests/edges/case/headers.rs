//! Headers that are the gate's, or a proxy's, in the mouth of a client (SECURITY-BAR B15, B18, B28, K04 d, e, g, i).

use super::{Case, Deny, Pass, Same};
use crate::proxy::Kind;

/// Spellings that servers take for another: as they stand, small, with `_`.
fn spellings(name: &str) -> [String; 4] {
    let mixed = name.replacen('-', "_", 1);
    [name.to_owned(), name.to_ascii_uppercase(), name.replace('-', "_"), mixed]
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let with = |more: &[&str], expect| {
        Case::new("GET /orders/1", &[&["Fastly-Key: {good}"][..], more].concat(), expect)
    };
    for name in keygate_server::ways::identity::NAMES {
        for spelling in spellings(name.as_str()) {
            let forged = format!("{spelling}: forged");
            // An alias of one of ours is refused where it gets as far as to the gate.
            let expect = || if spelling.contains('_') { Same } else { Pass("good") };
            cases.push(with(&[&forged], expect()));
            cases.push(with(&[&forged, &forged, &format!("{spelling}:")], expect()));
            cases.push(Case::new(
                "GET /health",
                &[&forged],
                if spelling.contains('_') { Same } else { Pass("nobody") },
            ));
        }
        // Named as a header of this connection only, it would be dropped on the way: theirs, or ours.
        let named = format!("Connection: {name}");
        cases.push(with(&[&named], Pass("good")));
        cases.push(with(&[&format!("Connection: close, {name}"), &format!("{name}: forged")], Pass("good")));
        cases.push(with(&["Connection: keep-alive", &named], Pass("good")));
    }
    for name in ["X-Auth-Foo", "X-Auth-Request-Email", "X_Auth_Foo"] {
        cases.push(with(&[&format!("{name}: forged")], Same));
    }
    for named in
        ["Fastly-Key", "Authorization", "X-Forwarded-For", "X-Forwarded-Uri", "X-Original-URL", "Host"]
    {
        cases.push(with(&[&format!("Connection: {named}")], Same));
    }
    cases.push(Case::new(
        "GET /orders/1",
        &["Fastly-Key: {near}", "Connection: X-Forwarded-For", "X-Forwarded-For: 127.0.0.7"],
        Deny(403, "ip_not_allowed"),
    ));
    cases.extend(dialects());
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        cases.push(with(&[&format!("{name}: DELETE")], Deny(400, "method_override_refused")));
        cases.push(with(&[&format!("{}: DELETE", name.replace('-', "_"))], Same));
    }
    cases
}

/// What another proxy would say of another request.
fn dialects() -> Vec<Case> {
    let conflict = || Deny(400, "conflicting_forward_headers");
    let mut cases = Vec::new();
    let lie = |headers: &[&str], expect| {
        Case::new("GET /orders/admin", &[&["Fastly-Key: {good}"][..], headers].concat(), expect)
    };
    let scope = || Deny(403, "insufficient_scope");
    let original = ["X-Original-URL: http://api.shop.example.com/orders/1", "X-Original-Method: GET"];
    let forwarded = ["X-Forwarded-Uri: /orders/1", "X-Forwarded-Method: GET"];
    for said in [&original[..], &original[..1], &original[1..], &["X-Original-URI: /orders/1"]] {
        // nginx overwrites its own words, and those of others are a conflict.
        cases.push(lie(said, conflict()).at(Kind::Nginx, scope()));
    }
    for said in [&forwarded[..], &forwarded[..1], &forwarded[1..]] {
        cases.push(lie(said, scope()).at(Kind::Nginx, conflict()));
    }
    cases.push(lie(&["X-Forwarded-Prefix: /orders"], conflict()));
    cases.push(lie(&[original[0], forwarded[0]], conflict()));
    for said in ["X-Forwarded-Host: evil.example.com", "X-Forwarded-Proto: https", "X-Forwarded-Port: 1"] {
        cases.push(lie(&[said], scope()));
        cases.push(Case::new("GET /orders/1", &["Fastly-Key: {good}", said], Pass("good")));
    }
    for said in ["X_Forwarded_Uri: /orders/1", "X_Original_URL: http://api.shop.example.com/orders/1"] {
        // nginx drops names with `_`.
        cases.push(lie(&[said], conflict()).at(Kind::Nginx, scope()));
    }
    // What is taken away on the way, from requests that pass.
    let pass = |headers: &[&str]| {
        Case::new("GET /orders/1", &[&["Fastly-Key: {good}"][..], headers].concat(), Pass("good"))
    };
    for said in
        ["X-Rewrite-URL: /orders/admin", "Forwarded: for=1.2.3.4;host=evil.example.com", "X-Real-IP: 1.2.3.4"]
    {
        cases.push(pass(&[said]));
    }
    let uri = "X-Original-URI: /orders/1";
    cases.push(
        pass(&[uri, uri, original[0], original[0], original[1], original[1]])
            .elsewhere_than(Kind::Nginx, conflict),
    );
    cases.push(pass(&[forwarded[0], forwarded[0], forwarded[1], forwarded[1]]).at(Kind::Nginx, conflict()));
    cases
}
