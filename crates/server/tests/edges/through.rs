//! Every case through every real proxy, and what an API gets of a plain request.

use crate::{case, proxy::Kind, site::Site};

/// A request as people send it.
const PLAIN: &str = "GET /orders/1?a=b HTTP/1.1\r\nHost: api.shop.example.com\r\nFastly-Key: {good}\r\nUser-Agent: curl/8\r\n\
                     Accept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\nX-Auth-Subject: forged\r\n\r\n";

/// What the API gets of it, whatever the proxy: what the client said, and who it is.
const GOT: [&str; 20] = [
    "accept",
    "accept-encoding",
    "cookie",
    "host",
    "remote-user",
    "user-agent",
    "x-auth-customer-id",
    "x-auth-expires",
    "x-auth-jwt",
    "x-auth-request-user",
    "x-auth-roles",
    "x-auth-scopes",
    "x-auth-stale",
    "x-auth-subject",
    "x-auth-subject-type",
    "x-auth-token-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

#[test]
fn every_case_through_nginx() {
    let site = Site::new(Kind::Nginx);
    judge(&site);
    // nginx tells the client in a body of its own what it knows of the gate's.
    let (answer, _) = site.ask(&case::asking("GET /orders/admin", &["Fastly-Key: {good}"]));
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("a problem");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!((body["status"].as_u64(), body["code"].as_str()), (Some(403), answer.reason()));
    assert_eq!(body["id"].as_str(), answer.header("x-authz-id"));
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"shop:admin\"";
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
}

#[test]
fn every_case_through_caddy() {
    judge(&Site::new(Kind::Caddy));
}

#[test]
fn every_case_through_haproxy() {
    let site = Site::new(Kind::Haproxy);
    judge(&site);
    // Another protocol may be asked for, and nothing else be named.
    let asks = [
        "Fastly-Key: {good}",
        "Connection: keep-alive, Upgrade, X-Auth-Subject",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let (answer, hits) = site.ask(&case::asking("GET /orders/1", &asks));
    assert_eq!(hits.len(), 1, "{answer:?}");
    assert_eq!((hits[0].all("connection"), hits[0].all("upgrade")), (vec!["upgrade"], vec!["websocket"]));
}

fn judge(site: &Site) {
    site.judge_all(&case::all());
    let (answer, hits) = site.ask(PLAIN);
    assert_eq!((answer.status, hits.len()), (200, 1), "{answer:?}");
    let mut names: Vec<&str> = hits[0].headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, GOT, "{:?}", hits[0]);
    assert_eq!(hits[0].all("x-forwarded-proto"), ["http"]);
    assert_eq!(hits[0].all("x-forwarded-host"), ["api.shop.example.com"]);
}
