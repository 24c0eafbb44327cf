use axum::http::Request;

use super::*;

fn parts(headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn left(headers: &[(&str, &str)], is_trusted: bool, names: &[HeaderName]) -> Vec<String> {
    let mut headers = parts(headers).headers;
    scrub(&mut headers, is_trusted, names);
    let mut left: Vec<_> = headers.keys().map(ToString::to_string).collect();
    left.sort();
    left
}

#[test]
fn what_is_about_the_connection_goes() {
    let sent =
        [("connection", "close, X-Own"), ("x-own", "1"), ("keep-alive", "5"), ("te", "gzip"), ("a", "b")];
    assert_eq!(left(&sent, false, &[]), ["a"]);
    assert_eq!(left(&[("proxy-authorization", "x"), ("trailer", "x")], true, &[]), ["trailer"]);
}

#[test]
fn connection_takes_no_credential_and_no_host_away() {
    let sent = [
        ("connection", "Fastly-Key, authorization, host, content-length"),
        ("fastly-key", "1"),
        ("authorization", "1"),
        ("host", "x"),
        ("content-length", "1"),
    ];
    assert_eq!(left(&sent, false, &[]), ["authorization", "content-length", "fastly-key", "host"]);
}

#[test]
fn what_only_proxies_say_goes_unless_a_proxy_said_it() {
    let sent = [
        ("x-forwarded-for", "1"),
        ("X_Forwarded_Proto", "1"),
        ("x-forwarded-prefix", "1"),
        ("forwarded", "for=1"),
        ("x-real-ip", "1"),
        ("true_client_ip", "1"),
        ("x-original-url", "/"),
        ("x-forward", "stays"),
    ];
    assert_eq!(left(&sent, false, &[]), ["x-forward"]);
    assert_eq!(left(&sent, true, &[]).len(), sent.len());
}

#[test]
fn names_that_are_the_guards_go_in_both_spellings() {
    let own = [HeaderName::from_static("x-auth-subject")];
    let sent =
        [("x-auth-subject", "1"), ("X_Auth_Subject", "1"), ("x-auth_subject", "1"), ("x-auth-token", "1")];
    assert_eq!(left(&sent, true, &own), ["x-auth-token"]);
}

#[test]
fn only_a_websocket_is_an_upgrade() {
    let asks =
        |upgrade, connection| asked(&parts(&[("upgrade", upgrade), ("connection", connection)]).headers);
    assert!(asks("WebSocket", "keep-alive, Upgrade").websocket);
    assert!(!asks("h2c", "Upgrade, HTTP2-Settings").websocket);
    assert!(!asks("websocket", "keep-alive").websocket);
    assert!(asked(&parts(&[("te", "gzip, Trailers")]).headers).trailers);
}

#[test]
fn what_was_seen_is_said_in_both_ways() {
    let mut witness = Witness::new("::ffff:192.0.2.1".parse().unwrap());
    let mut headers = parts(&[("host", "api.example:8080")]).headers;
    witness.sign(&mut headers, true);
    assert_eq!(headers["forwarded"], "for=192.0.2.1;host=\"api.example:8080\";proto=http");
    assert_eq!(headers["x-forwarded-for"], "192.0.2.1");
    assert_eq!(headers["x-forwarded-host"], "api.example:8080");
    assert_eq!((&headers["x-forwarded-proto"], &headers["via"]), (&HTTP, &VIA));
    let mut six = Witness::new("2001:db8::1".parse().unwrap());
    for host in ["a", "b"] {
        let mut headers = parts(&[("host", host)]).headers;
        six.sign(&mut headers, false);
        let told = format!("for=\"[2001:db8::1]\";host=\"{host}\";proto=http");
        assert_eq!(headers["forwarded"], told.as_str());
        assert!(!headers.contains_key("via"));
    }
}

#[test]
fn what_a_trusted_proxy_said_is_added_to() {
    let mut headers =
        parts(&[("x-forwarded-for", "198.51.100.7"), ("x-forwarded-proto", "https"), ("host", "x")]).headers;
    Witness::new("10.0.0.1".parse().unwrap()).sign(&mut headers, false);
    let told: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    assert_eq!(told, ["198.51.100.7, 10.0.0.1"]);
    assert_eq!(headers["x-forwarded-proto"], "https");
}

#[test]
fn the_client_is_whom_the_last_trusted_proxy_names() {
    let networks = Networks::parse("10.0.0.0/8").unwrap();
    let client = |peer: &str, said: &str| {
        client_ip(peer.parse().unwrap(), &parts(&[("x-forwarded-for", said)]), Some(&networks)).to_string()
    };
    assert_eq!(client("10.0.0.1", "1.1.1.1, 198.51.100.7, 10.0.0.9"), "198.51.100.7");
    assert_eq!(client("10.0.0.1", "1.1.1.1, nonsense"), "10.0.0.1");
    assert_eq!(client("192.0.2.1", "1.1.1.1"), "192.0.2.1");
    assert_eq!(client_ip("10.0.0.1".parse().unwrap(), &parts(&[]), None).to_string(), "10.0.0.1");
}
