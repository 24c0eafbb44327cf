//! The ways in themselves, on raw sockets: whatever stands in the headers, a decision is about one request, or there is
//! none (SECURITY-BAR K04, a to g and i).

use std::fs;

use keygate_server::ways::{Way, identity};

use crate::{
    dialect::{IN_HEADERS, foreign, question, words},
    house::House,
    wire::{self, Answer, Where, free_address},
};

const KEY: &str = "Fastly-Key: {good}";

/// A house with all five ways in, at an address and at a socket.
struct Gate {
    house: House,
    at: [Where; 2],
}

impl Gate {
    fn open() -> Self {
        let at = free_address();
        let mut args: Vec<_> = IN_HEADERS.iter().map(|way| format!("--way={}={at}", way.name())).collect();
        let socket = std::env::temp_dir().join(format!("keygate-edges-{}.sock", std::process::id()));
        args.extend(IN_HEADERS.iter().map(|way| format!("--way={}=unix:{}", way.name(), socket.display())));
        let house = House::with(&args.iter().map(String::as_str).collect::<Vec<_>>());
        Self { house, at: [Where::Tcp(at), Where::Unix(socket)] }
    }

    /// What is answered, which is the same at both.
    fn answer(&self, request: &str) -> Answer {
        let [tcp, socket] = &self.at;
        let bytes = self.house.bytes(request);
        let (answer, other) = (wire::send(tcp, &bytes), wire::send(socket, &bytes));
        assert_eq!((answer.status, answer.reason()), (other.status, other.reason()), "{request:?}");
        answer
    }

    /// Asserts the word for what is answered: `allow`, or a refusal's code.
    fn is(&self, way: Way, request: &str, word: &str) {
        let answer = self.answer(request);
        let told = format!("{}: {request:?}: {answer:?}", way.name());
        if word == "allow" {
            assert_eq!(answer.status, 200, "{told}");
            check_identity(way, &answer);
            return;
        }
        assert_eq!(answer.reason(), Some(word), "{told}");
        assert!(answer.status >= 400, "{told}");
        assert!(answer.header("x-auth-subject").is_none(), "{told}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{told}");
        let true_status = answer.header("x-authz-status").and_then(|status| status.parse().ok());
        let shown = match true_status {
            Some(400..=499) if way == Way::Nginx && true_status != Some(401) => Some(403),
            _ => true_status,
        };
        assert_eq!(shown, Some(answer.status), "{told}");
        assert_eq!(answer.body.is_empty(), !matches!(way, Way::Traefik | Way::Envoy), "{told}");
    }
}

/// The whole set, each once, nothing empty, and nothing that may be kept.
fn check_identity(way: Way, answer: &Answer) {
    for name in identity::NAMES {
        let value = answer.header(name.as_str());
        assert!(value.is_some_and(|value| !value.is_empty() && value != "for ged"), "{name}: {answer:?}");
    }
    assert!(answer.body.is_empty(), "{answer:?}");
    assert_eq!((answer.header("cache-control"), answer.header("vary")), (Some("no-store"), Some("*")));
    let removed = (way == Way::Envoy).then_some("fastly-key, authorization");
    assert_eq!(answer.header("x-envoy-auth-headers-to-remove"), removed);
}

#[test]
fn one_request_one_decision_at_every_way() {
    let gate = Gate::open();
    for way in IN_HEADERS {
        let ask = |more: &[&str], word| gate.is(way, &question(way, "GET", "/orders/1", more), word);
        ask(&[KEY], "allow");
        ask(&["Authorization: Bearer {good}"], "allow");
        doubled(way, ask);
        odd(way, ask);
        aliases(way, ask);
        named_by_connection(way, ask);
        for header in foreign(way) {
            ask(&[KEY, &header], "conflicting_forward_headers");
        }
        about_what(way, &gate);
        cut(way, &gate);
    }
}

/// K04 a and c.
fn doubled(way: Way, ask: impl Fn(&[&str], &'static str)) {
    let twice = "multiple_credentials";
    ask(&[KEY, KEY], twice);
    ask(&[KEY, "fastly-key: {other}"], twice);
    ask(&["Fastly-Key: {good},{other}"], twice);
    ask(&["Fastly-Key: {good}, {other}"], twice);
    ask(&["Fastly-Key:", KEY], twice);
    ask(&[KEY, "Authorization: Bearer {good}"], twice);
    ask(&[KEY, "Authorization: bearer {other}"], twice);
    ask(&["Authorization: Bearer {good}", "Authorization: Bearer {good}"], twice);
    ask(&["Authorization: Bearer {good}", "Authorization: Basic x"], twice);
    for word in words(way, "GET", "/orders/1") {
        if !word.starts_with("X-Forwarded-For") {
            ask(&[KEY, &word], "conflicting_forward_headers");
        }
    }
}

/// K04 b.
fn odd(_: Way, ask: impl Fn(&[&str], &'static str)) {
    ask(&["Fastly-Key:"], "credential_missing");
    ask(&["Fastly-Key: \t "], "credential_missing");
    ask(&["Authorization: Bearer"], "scheme_not_supported");
    ask(&["Authorization: Bearer  {good}"], "token_malformed");
    ask(&["Fastly-Key: {good}\u{a0}"], "token_malformed");
    ask(&["Fastly-Key: {good}%00"], "token_malformed");
    ask(&[&format!("Fastly-Key: {}", "a".repeat(9 * 1024))], "token_malformed");
    ask(&[&format!("Fastly-Key: {{good}}{}", "a".repeat(9 * 1024))], "token_malformed");
}

/// K04 d and g.
fn aliases(_: Way, ask: impl Fn(&[&str], &'static str)) {
    ask(&["Fastly_Key: {good}"], "credential_missing");
    for name in identity::NAMES {
        ask(&[KEY, &format!("{name}: for ged")], "allow");
        for alias in [name.as_str().replace('-', "_"), name.as_str().replacen('-', "_", 1)] {
            ask(&[KEY, &format!("{alias}: forged")], "conflicting_forward_headers");
        }
    }
    for alias in
        ["X_Forwarded_Uri: /orders/1", "X_Forwarded-For: 192.0.2.1", "X-Original_URL: http://x/orders/1"]
    {
        ask(&[KEY, alias], "conflicting_forward_headers");
    }
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        ask(&[KEY, &format!("{name}: DELETE")], "method_override_refused");
        ask(&[KEY, &format!("{}: DELETE", name.replace('-', "_"))], "method_override_refused");
        ask(&[KEY, &format!("{}: DELETE", name.replacen('-', "_", 1))], "method_override_refused");
    }
}

/// K04 e: what a client names there changes nothing.
fn named_by_connection(way: Way, ask: impl Fn(&[&str], &'static str)) {
    for word in words(way, "GET", "/orders/1") {
        let name = word.split(':').next().unwrap_or_default();
        ask(&[KEY, &format!("Connection: keep-alive, {name}")], "allow");
    }
    ask(&[KEY, "Connection: Fastly-Key, X-Auth-Subject, Host"], "allow");
    ask(&["Connection: Fastly-Key"], "credential_missing");
}

/// What is asked about is judged as it stands: paths, hosts, methods.
fn about_what(way: Way, gate: &Gate) {
    let ask = |method: &str, target: &str, word: &str| {
        gate.is(way, &question(way, method, target, &[KEY]), word);
    };
    ask("GET", "/orders/1?a=/../b", "allow");
    ask("DELETE", "/orders/1", "allow");
    ask("GET", "/orders/admin", "insufficient_scope");
    ask("PROPFIND", "/orders/1", "no_rule");
    ask("get", "/orders/1", "no_rule");
    ask("GET", "/nowhere", "no_rule");
    for path in [
        "//orders/1",
        "/orders/../orders/1",
        "/orders/%2e%2e/1",
        "/orders/1;a",
        "/orders/a%2fb",
        "/orders/%00",
    ] {
        ask("GET", path, "ambiguous_path");
    }
    if way != Way::Envoy {
        for path in ["*", "http://evil.example.com/orders/1", "/orders/1#", "/orders/a\\b", "/orders/\u{e9}"]
        {
            let word = if way == Way::Nginx && !path.starts_with('/') { continue } else { "ambiguous_path" };
            ask("GET", path, word);
        }
        let with_host =
            |host: &str| question(way, "GET", "/orders/1", &[KEY]).replace("api.shop.example.com", host);
        gate.is(way, &with_host("API.Shop.Example.COM.:443"), "allow");
        gate.is(way, &with_host("evil.example.com"), "no_rule");
        for host in
            ["api.shop.example.com:x", "a..b", "api.shop.example.com@evil", "\u{e4}.example.com", "a b"]
        {
            let answer = gate.answer(&with_host(host));
            assert!(answer.status >= 400, "{}: {host}: {answer:?}", way.name());
        }
    }
}

/// A question that lacks a word of its family is no question: never "path = /" (SECURITY-BAR B17).
fn cut(way: Way, gate: &Gate) {
    let whole = question(way, "GET", "/orders/1", &[KEY]);
    for word in words(way, "GET", "/orders/1") {
        let without = whole.replace(&format!("{word}\r\n"), "");
        let expected = if way == Way::Envoy { "allow" } else { "proxy_misconfigured" };
        gate.is(way, &without, expected);
        if way != Way::Envoy && !word.starts_with("X-Forwarded-For") {
            let name = word.split(':').next().unwrap_or_default();
            let answer = gate.answer(&whole.replace(&word, &format!("{name}:")));
            assert!(answer.status >= 400, "{}: empty {name}: {answer:?}", way.name());
        }
    }
}

#[test]
fn what_is_no_http_is_refused_before_anybody_asks() {
    let gate = Gate::open();
    for way in IN_HEADERS {
        for odd in [
            "Fastly-Key: {good}\u{0}",
            "Fastly-Key: {good}\u{1}",
            "Fastly-Key: {good}\r\n folded",
            " Fastly-Key: {good}",
            "Fastly-Key : {good}",
            "Fastly\u{0}-Key: {good}",
            "Fastly-Key: {good}\r\nno-colon",
            "Fastly-Key: {good}\r\n: no name",
            "Fastly-Key: {good}\rX: y",
            "Fastly-Key: {good}\r\nContent-Length: 1\r\nContent-Length: 2",
            "Fastly-Key: {good}\r\nContent-Length: x",
        ] {
            let answer = gate.answer(&question(way, "GET", "/orders/1", &[odd]));
            assert_eq!((answer.status, answer.reason()), (400, None), "{}: {odd:?}: {answer:?}", way.name());
        }
        let long = format!("Fastly-Key: {}", "a".repeat(40 * 1024));
        assert_eq!(gate.answer(&question(way, "GET", "/orders/1", &[&long])).status, 431, "{}", way.name());
        let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
        let request = question(way, "GET", "/orders/1", &[&format!("{many}{KEY}")]);
        assert_eq!(gate.answer(&request).status, 431, "{}", way.name());
    }
}

/// K04 f: who is not told of as a proxy is believed nothing, and nothing but the ways is there.
#[test]
fn a_peer_that_is_no_proxy_of_ours_is_refused() {
    let mut house = House::new();
    house.close();
    let ways = IN_HEADERS.map(|way| (way, free_address()));
    let lines = ways.map(|(way, at)| {
        format!("[[way]]\nkind = \"{}\"\nlisten = \"{at}\"\ntrusted = \"192.0.2.0/24\"\n", way.name())
    });
    fs::write(house.home.path().join("keygate.toml"), lines.concat()).expect("a file");
    house.open_as_configured();
    for (way, at) in ways {
        let answer = wire::send(&Where::Tcp(at), &house.bytes(&question(way, "GET", "/orders/1", &[KEY])));
        assert_eq!((answer.status, answer.reason()), (403, Some("untrusted_proxy")), "{}", way.name());
        let others = IN_HEADERS.map(Way::path).into_iter().filter(|path| *path != way.path());
        for path in others.chain(["/tokens", "/metrics", "/authz", "/"]) {
            let request = format!("GET {path} HTTP/1.1\r\nHost: api.shop.example.com\r\n\r\n");
            let answer = wire::send(&Where::Tcp(at), request.as_bytes());
            assert_eq!((answer.status, answer.body.len()), (404, 0), "{path} at {}", way.name());
        }
    }
}
