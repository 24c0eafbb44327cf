//! Questions as proxies send them that cannot be had here, byte by byte: Traefik 3, and Caddy 2.11 in the place of
//! Debian's 2.6. Written down from their sources (CONVENTIONS §2, §3).

use keygate_server::ways::{Way, identity};

use crate::{
    house::House,
    wire::{self, Answer, Where, free_address},
};

/// `pkg/middlewares/auth/forward.go`: the client's headers without those of a connection, then its own five.
const TRAEFIK: &str = "GET /authz/traefik HTTP/1.1\r\nHost: keygate:8082\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\
                       Accept-Language: de\r\nCookie: session=1\r\nFastly-Key: {good}\r\nX-Forwarded-For: 203.0.113.7\r\n\
                       X-Forwarded-Host: api.shop.example.com\r\nX-Forwarded-Method: DELETE\r\nX-Forwarded-Port: 443\r\n\
                       X-Forwarded-Proto: https\r\nX-Forwarded-Server: traefik-7d4f\r\nX-Forwarded-Uri: /orders/1?a=b%2Fc\r\n\
                       X-Real-Ip: 203.0.113.7\r\nAccept-Encoding: gzip\r\n\r\n";

/// `reverseproxy/forwardauth/caddyfile.go`: the client's headers without those of a connection; `Via` since 2.10.
const CADDY: &str = "GET /authz/caddy HTTP/1.1\r\nHost: 127.0.0.1:8083\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\
                     Authorization: Bearer {good}\r\nVia: 2.0 Caddy\r\nX-Forwarded-For: 203.0.113.7\r\n\
                     X-Forwarded-Host: api.shop.example.com\r\nX-Forwarded-Method: DELETE\r\nX-Forwarded-Proto: https\r\n\
                     X-Forwarded-Uri: /orders/1?a=b%2Fc\r\nAccept-Encoding: gzip\r\n\r\n";

#[test]
fn questions_of_traefik_and_of_todays_caddy_are_understood() {
    let at = free_address();
    let house = House::with(&[&format!("--way=traefik={at}"), &format!("--way=caddy={at}")]);
    let ask = |request: &str| wire::send(&Where::Tcp(at), &house.bytes(request));
    for (way, request) in [(Way::Traefik, TRAEFIK), (Way::Caddy, CADDY)] {
        let answer = ask(request);
        assert_eq!(answer.status, 200, "{}: {answer:?}", way.name());
        for name in identity::NAMES {
            assert!(answer.header(name.as_str()).is_some(), "{name}: {answer:?}");
        }
        let is = |from: &str, to: &str, status: u16, code: &str| {
            assert!(request.contains(from), "{from}");
            let answer = ask(&request.replace(from, to));
            assert_eq!((answer.status, answer.reason()), (status, Some(code)), "{} {to}", way.name());
            check_body(way, &answer);
        };
        is("{good}", "{revoked}", 401, "token_unknown");
        is("{good}", "{lowly}", 403, "insufficient_role");
        is("{good}", "{near}", 403, "ip_not_allowed");
        is("Uri: /orders/1", "Uri: /orders/%2e%2e/admin", 400, "ambiguous_path");
        is("Method: DELETE", "Method: PUT", 403, "no_rule");
        is("Host: api.shop", "Host: other.shop", 403, "no_rule");
        is("X-Forwarded-Method: DELETE\r\n", "", 503, "proxy_misconfigured");
        is("X-Forwarded-Host: api.shop.example.com\r\n", "", 503, "proxy_misconfigured");
        is("X-Forwarded-Proto", "X-Original-Url: /\r\nX-Forwarded-Proto", 400, "conflicting_forward_headers");
        is(
            "X-Forwarded-Proto",
            "X_forwarded_uri: /\r\nX-Forwarded-Proto",
            400,
            "conflicting_forward_headers",
        );
    }
    // With trustForwardHeader a client's own address stands on the left. It is not believed.
    let chain = TRAEFIK.replace("For: 203", "For: 127.0.0.7, 203").replace("{good}", "{near}");
    assert_eq!(ask(&chain).reason(), Some("ip_not_allowed"));
    let near = TRAEFIK.replace("203.0.113.7", "127.0.0.7").replace("{good}", "{near}");
    assert_eq!(ask(&near).status, 200);
}

/// Traefik gives the client our whole answer, and Caddy pays for a body with a connection.
fn check_body(way: Way, answer: &Answer) {
    if way == Way::Caddy {
        assert!(answer.body.is_empty(), "{answer:?}");
        return;
    }
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("a problem");
    assert_eq!(body["code"].as_str(), answer.reason(), "{answer:?}");
    assert_eq!(body["status"].as_u64(), Some(u64::from(answer.status)), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
}
