//! What a proxy of each family sends to its way in, byte by byte.

use keygate_server::ways::Way;

use crate::house::HOST;

/// A question in the words of a family: about `method` and `target` at the protected API, with more headers.
pub(crate) fn question(way: Way, method: &str, target: &str, more: &[&str]) -> String {
    let own = words(way, method, target);
    let (line, mut headers) = match way {
        Way::Envoy => (format!("{method} {}{target}", way.path()), vec![format!("Host: {HOST}")]),
        Way::Haproxy => (format!("HEAD {}", way.path()), vec!["Host: keygate".to_owned()]),
        _ => (format!("GET {}", way.path()), vec!["Host: keygate".to_owned()]),
    };
    headers.extend(own);
    headers.extend(more.iter().map(|header| (*header).to_owned()));
    format!("{line} HTTP/1.1\r\n{}\r\n\r\n", headers.join("\r\n"))
}

/// The families that ask in headers.
pub(crate) const IN_HEADERS: [Way; 5] = [Way::Nginx, Way::Traefik, Way::Caddy, Way::Haproxy, Way::Envoy];

/// The headers of a family that say what was asked for.
pub(crate) fn words(way: Way, method: &str, target: &str) -> Vec<String> {
    let client = "X-Forwarded-For: 192.0.2.9".to_owned();
    match way {
        Way::Nginx => vec![
            format!("X-Original-Method: {method}"),
            format!("X-Original-URL: http://{HOST}{target}"),
            client,
        ],
        Way::Traefik | Way::Caddy | Way::Haproxy => vec![
            format!("X-Forwarded-Method: {method}"),
            format!("X-Forwarded-Host: {HOST}"),
            format!("X-Forwarded-Uri: {target}"),
            client,
        ],
        _ => vec![client],
    }
}

/// Headers of other families, each of which makes a question ambiguous.
pub(crate) fn foreign(way: Way) -> Vec<String> {
    let originals =
        ["X-Original-Method: GET", "X-Original-URL: http://x/orders/1", "X-Original-URI: /orders/1"];
    let forwarded = ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /orders/1", "X-Forwarded-Prefix: /orders"];
    let others: Vec<&str> = match way {
        Way::Nginx => forwarded.to_vec(),
        Way::Traefik | Way::Caddy | Way::Haproxy => [&originals[..], &forwarded[2..]].concat(),
        _ => [originals, forwarded].concat(),
    };
    others.into_iter().map(str::to_owned).collect()
}
