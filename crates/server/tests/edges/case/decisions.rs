//! What the law says, through the edge: nothing is lost on the way, and nothing is won.

use super::{Case, Deny, Pass};
use crate::house::ITS_NETWORK;

const KEY: &str = "Fastly-Key: {good}";

pub(super) fn cases() -> Vec<Case> {
    let order = |token: &str, expect| Case::new("GET /orders/1", &[&format!("Fastly-Key: {token}")], expect);
    let place = |what: &str, token: &str, expect| {
        Case::new(&format!("POST /projects/{what}/orders"), &[token, "Content-Length: 0"], expect)
    };
    vec![
        order("{good}", Pass("good")),
        order("{read}", Pass("read")),
        Case::new("GET /orders/1?a=b&c=%2f..%2f", &["Authorization: Bearer {good}"], Pass("good")),
        Case::new("HEAD /orders/1", &[KEY], Pass("good")),
        Case::raw(
            "POST /orders/1 HTTP/1.1\r\nHost: api.shop.example.com\r\nFastly-Key: {good}\r\nContent-Length: 7\r\n\r\na=b&c=d",
            Pass("good"),
        ),
        Case::new("GET /", &[KEY], Pass("good")),
        Case::new("GET /health", &[], Pass("nobody")),
        place("{SHOP}", "Fastly-Key: {limited}", Pass("limited")),
        order("{broken}", Deny(401, "token_malformed")),
        order("not-a-token", Deny(401, "token_malformed")),
        order("{unknown}", Deny(401, "token_unknown")),
        order("{revoked}", Deny(401, "token_unknown")),
        order("{expired}", Deny(401, "token_expired")),
        order("{suspended}", Deny(403, "tenant_suspended")),
        order("{purger}", Deny(403, "insufficient_scope")),
        order("{lowly}", Deny(403, "insufficient_role")),
        Case::new(
            "POST /orders/1",
            &["Fastly-Key: {read}", "Content-Length: 0"],
            Deny(403, "insufficient_scope"),
        ),
        Case::new("GET /orders/admin", &[KEY], Deny(403, "insufficient_scope")),
        place("{BLOG}", "Fastly-Key: {limited}", Deny(403, "service_not_granted")),
        place("nowhere", KEY, Deny(403, "service_not_found")),
        Case::new("GET /new", &[KEY], Deny(403, "unclassified")),
        Case::new("GET /nowhere", &[KEY], Deny(403, "no_rule")),
        Case::new("GET /tokens/self", &[KEY], Deny(403, "no_rule")),
        Case::new("PUT /orders/1", &[KEY, "Content-Length: 0"], Deny(403, "no_rule")),
        Case::new("GET /orders/1", &[], Deny(401, "credential_missing")),
        // Each of them passes on what a client demands.
        Case::new("GET /orders/1", &[KEY, "Keygate-Min-Position: 1"], Pass("good")),
        Case::new("GET /orders/1", &[KEY, "Keygate-Min-Position: soon"], Deny(400, "position_invalid")),
        Case::new(
            "GET /orders/1",
            &[KEY, "Keygate-Min-Position: 999999999"],
            Deny(503, "position_not_applied"),
        ),
        // B14: what the client says of its address changes nothing, here or there.
        order("{near}", Deny(403, "ip_not_allowed")),
        order("{near}", Pass("near")).from(ITS_NETWORK),
        near_but("X-Forwarded-For: 127.0.0.7"),
        near_but("X-Forwarded-For: 127.0.0.7, 127.0.0.1"),
        near_but("X-Real-IP: 127.0.0.7"),
        near_but("Forwarded: for=127.0.0.7"),
        near_but("X-Client-IP: 127.0.0.7"),
        Case::new("GET /orders/1", &["Fastly-Key: {near}", "X-Forwarded-For: 127.0.0.1"], Pass("near"))
            .from(ITS_NETWORK),
        Case::new("GET /orders/1", &["Fastly-Key: {near}", "X-Forwarded-For: nonsense"], Pass("near"))
            .from(ITS_NETWORK),
    ]
}

/// From elsewhere, and saying that it is near.
fn near_but(said: &str) -> Case {
    Case::new("GET /orders/1", &["Fastly-Key: {near}", said], Deny(403, "ip_not_allowed"))
}
