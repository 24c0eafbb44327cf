//! What is kept between requests: connections to the gate are, decisions never (CONVENTIONS §0, rule 7; SECURITY-BAR T-26,
//! K04 h).

use std::{io::Write as _, net::Ipv4Addr, thread};

use crate::{case::asking, proxy::Kind, site::Site, wire};

/// More of these, and an edge opens a connection for every request.
const CONNECTIONS_MAX: usize = 10;

#[test]
fn every_edge_keeps_its_connections_to_the_gate() {
    let sites = Site::each([Kind::Nginx, Kind::Caddy, Kind::Haproxy]);
    thread::scope(|scope| {
        for site in &sites {
            scope.spawn(|| keeps_its_connections(site));
        }
    });
}

/// A thousand requests over one connection, let in and refused.
fn keeps_its_connections(site: &Site) {
    let kind = site.edge.kind;
    // With a body, which is the API's and not the gate's.
    let post = asking("POST /orders/1", &["Fastly-Key: {good}", "Content-Length: 3"]);
    let good = site.house.bytes(&format!("{post}a=b"));
    let none = site.house.bytes(&asking("GET /orders/1", &[]));
    let mut stream = wire::connect_from(Ipv4Addr::LOCALHOST, site.edge.at);
    for round in 0..500 {
        for (request, status) in [(&good, 200), (&none, 401)] {
            stream.write_all(request).expect("the edge reads");
            assert_eq!(wire::read(&stream, false).status, status, "{kind:?}, in round {round}");
        }
    }
    assert_eq!(site.relay.take(kind).len(), 1000, "every request is asked about");
    assert!(site.api.take().iter().all(|hit| hit.bytes.ends_with(b"a=b")), "the API gets the body");
    let connections = site.relay.connections();
    assert!(connections <= CONNECTIONS_MAX, "{kind:?}: {connections} connections for 1000 questions");
}

/// The shipped file, by somebody who turns the cache on for everything.
fn with_a_cache(file: String) -> String {
    let off = "proxy_cache off;";
    assert!(file.contains(off), "the shipped file keeps decisions out of a cache");
    let on = "proxy_cache everything;\n    proxy_cache_valid any 10m;\n    include keygate-headers.conf;";
    let file = file.replace(off, "proxy_cache everything;").replace("include keygate-headers.conf;", on);
    format!("proxy_cache_path cache keys_zone=everything:1m;\n{file}")
}

#[test]
fn a_cache_at_the_edge_keeps_no_decision() {
    let site = Site::with(Kind::Nginx, with_a_cache);
    let ask = |token: &str| {
        let key = format!("Fastly-Key: {{{token}}}");
        let headers: &[&str] = if token.is_empty() { &[] } else { &[&key] };
        let (answer, hits) = site.ask(&asking("GET /orders/1", headers));
        assert_eq!(site.relay.take(Kind::Nginx).len(), 1, "every request is asked about");
        (answer, hits.len())
    };
    let (first, hits) = ask("good");
    assert_eq!((first.status, hits), (200, 1));
    let (again, hits) = ask("good");
    assert_eq!((again.status, hits), (200, 0), "the cache is on");
    for (token, status) in [("", 401), ("revoked", 401), ("lowly", 403), ("purger", 403), ("near", 403)] {
        let (answer, hits) = ask(token);
        assert_eq!((answer.status, hits), (status, 0), "{token}");
        assert_ne!(answer.body, first.body, "{token} got what was another's");
    }
    assert_eq!(ask("good").0.status, 200, "no refusal is kept either");
    site.house.revoke("good");
    assert_eq!(ask("good").0.status, 401, "a revoked token is refused at once");
}
