//! Paths, hosts and methods that one server reads so and another so (SECURITY-BAR B20 to B29).

use super::{Case, Deny, Pass, Same, Stop};
use crate::proxy::Kind;

/// Paths that servers read in two ways.
const TWO_WAYS: [&str; 18] = [
    "/public/../orders/admin",
    "/public/%2e%2e/orders/admin",
    "/public/.%2E/orders/admin",
    "/orders/./admin",
    "/public/..;/orders/admin",
    "/orders/1/..",
    "/orders/..%2fadmin",
    "/orders/admin;x=1",
    "/orders;x=1/admin",
    "//orders/admin",
    "/orders//admin",
    "/orders//1",
    "/orders%2fadmin",
    "/orders%5cadmin",
    "/orders%252fadmin",
    "/orders/%61dmin",
    "/orders/a%3fb",
    "/orders/a%23b",
];

/// Paths that some proxies refuse themselves.
const NO_WAY: [&str; 14] = [
    "/../orders/1",
    "/orders/1%00",
    "/orders/%c0%afadmin",
    "/orders\\admin",
    "/orders/..\\admin",
    "/orders/1#/../admin",
    "/orders/1#",
    "/orders/%zz",
    "/orders/%",
    "/orders/\u{1}",
    "/orders/\u{0}",
    "/orders/a b",
    "orders/1",
    "",
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = paths();
    cases.extend(forms());
    cases.extend(hosts());
    cases.extend(methods());
    cases
}

fn paths() -> Vec<Case> {
    let get = |path: &str, expect| Case::new(&format!("GET {path}"), &["Fastly-Key: {good}"], expect);
    let mut cases = Vec::new();
    for path in TWO_WAYS {
        cases.push(get(path, Deny(400, "ambiguous_path")));
        cases.push(Case::new(&format!("GET {path}"), &[], Deny(400, "ambiguous_path")));
    }
    // That this is near another action is a matter of which routes there are, and so nothing for strangers.
    cases.push(get("/orders/ADMIN", Deny(400, "ambiguous_path")));
    cases.push(Case::new("GET /orders/ADMIN", &[], Deny(401, "credential_missing")));
    for path in NO_WAY {
        cases.push(get(path, Stop));
    }
    cases.extend([
        // Caddy writes it as %E9, for the gate and the API alike.
        get("/orders/\u{e9}", Stop).at(Kind::Caddy, Same),
        get("/files/a%2fb", Pass("good")),
        get("/files/a;b=c", Pass("good")),
        get("/files/a%2f..%2fb", Deny(400, "ambiguous_path")),
        get("/orders/1?", Pass("good")),
        get("/orders/1?a=../..//%00", Same),
        get("/orders/1?a?b", Pass("good")),
        get("/orders/1?%61=%2f", Pass("good")),
        get("/orders/a%20b", Pass("good")),
        get("/orders/%F0%9F%94%91", Pass("good")),
        get("/orders/(a)!$&'*+,:=@~", Pass("good")),
        get("/orders/[a]|^`\"<>{}", Same),
        get("/ORDERS/1", Deny(403, "no_rule")),
        get("/orders/1/", Deny(403, "no_rule")),
        get("/orders/1x/y", Deny(403, "no_rule")),
    ]);
    cases
}

/// Request targets that are no path.
fn forms() -> Vec<Case> {
    let get = |target: &str, expect| Case::new(&format!("GET {target}"), &["Fastly-Key: {good}"], expect);
    vec![
        get("http://evil.example.com/orders/1", Stop),
        get("http://api.shop.example.com/orders/admin", Stop),
        get("http://api.shop.example.com/orders/1", Same),
        get("http://api.shop.example.com", Same),
        get("http://api.shop.example.com?a=/orders/1", Same),
        get("http://evil.example.com@api.shop.example.com/orders/1", Stop).at(Kind::Caddy, Same),
        get("ftp://api.shop.example.com/orders/1", Same),
        get("*", Stop),
        // Caddy answers this itself.
        Case::new("OPTIONS *", &["Fastly-Key: {good}"], Stop).at(Kind::Caddy, Same),
        Case::new("CONNECT api.shop.example.com:80", &["Fastly-Key: {good}"], Stop),
        Case::raw(
            "GET http://api.shop.example.com/orders/1 HTTP/1.1\r\nHost: evil.example.com\r\nFastly-Key: {good}\r\n\r\n",
            Same,
        ),
    ]
}

fn hosts() -> Vec<Case> {
    let at = |host: &str, expect| {
        Case::raw(&format!("GET /orders/1 HTTP/1.1\r\nHost: {host}\r\nFastly-Key: {{good}}\r\n\r\n"), expect)
    };
    vec![
        at("API.Shop.Example.COM", Pass("good")),
        at("api.shop.example.com.", Pass("good")),
        at("api.shop.example.com:8443", Pass("good")),
        at("evil.example.com", Deny(403, "no_rule")),
        at("api.shop.example.com.evil.example.com", Deny(403, "no_rule")),
        at("127.0.0.1", Deny(403, "no_rule")),
        at("[::1]", Deny(403, "no_rule")),
        at("", Stop),
        at("api.shop.example.com, evil.example.com", Stop),
        at("api.shop.example.com evil.example.com", Stop),
        at("api.shop.example.com/orders/2", Stop),
        // nginx reads no port, and passes none on.
        at("api.shop.example.com:80:80", Stop).at(Kind::Nginx, Same),
        at("api.shop.example.com:abc", Stop).at(Kind::Nginx, Same),
        at("api.shop.example.com..", Stop),
        at("api.shop.example.c\u{f6}m", Stop),
        at("evil@api.shop.example.com", Stop),
        Case::raw("GET /orders/1 HTTP/1.1\r\nFastly-Key: {good}\r\n\r\n", Stop),
        Case::raw("GET /orders/1 HTTP/1.0\r\nFastly-Key: {good}\r\n\r\n", Same),
        Case::raw(
            "GET /orders/1 HTTP/1.1\r\nHost: api.shop.example.com\r\nHost: evil.example.com\r\nFastly-Key: {good}\r\n\r\n",
            Stop,
        ),
        Case::raw(
            "GET /orders/1 HTTP/1.1\r\nHost: evil.example.com\r\nHost: api.shop.example.com\r\nFastly-Key: {good}\r\n\r\n",
            Stop,
        ),
    ]
}

fn methods() -> Vec<Case> {
    let by =
        |method: &str, expect| Case::new(&format!("{method} /orders/1"), &["Fastly-Key: {good}"], expect);
    let mut cases = vec![
        by("PROPFIND", Deny(403, "no_rule")),
        by("get", Deny(403, "no_rule")).at(Kind::Nginx, Stop),
        by("Get", Deny(403, "no_rule")).at(Kind::Nginx, Stop),
        by("DELETE", Pass("good")),
        by("OPTIONS", Deny(403, "no_rule")),
        by("TRACE", Stop),
        by(&"A".repeat(2048), Stop),
        by("G ET", Stop),
        by("GET\u{0}", Stop),
        by("", Stop),
    ];
    // HEAD is decided as GET, also where it is not allowed.
    cases.push(Case::new("HEAD /orders/admin", &["Fastly-Key: {good}"], Deny(403, "insufficient_scope")));
    cases
}
