//! A gate that is not there, or does not answer: every edge refuses, and lets in again as soon as it is back.

use std::{net::TcpListener, thread, time::Duration};

use crate::{
    case::asking,
    house::House,
    process::Home,
    proxy::{Edge, Kind},
    recorder::Recorder,
    wire::{self, Answer, Where, free_address},
};

const ALL: [Kind; 3] = [Kind::Nginx, Kind::Caddy, Kind::Haproxy];

#[test]
fn without_the_gate_every_edge_refuses() {
    let at = ALL.map(|_| free_address());
    let over_tcp: Vec<_> =
        ALL.iter().zip(at).map(|(kind, at)| format!("--way={}={at}", kind.way())).collect();
    let over_tcp: Vec<_> = over_tcp.iter().map(String::as_str).collect();
    let mut house = House::with(&over_tcp);
    let api = Recorder::start();
    let sockets = ALL.map(|kind| Where::Unix(house.socket(kind.way())));
    let start = |kind, folder: &str, gate: &Where| {
        let dir = house.home.path().join(folder);
        Edge::start(kind, &dir, gate, api.at, |file| file)
    };
    let mut edges = Vec::new();
    for (place, kind) in ALL.into_iter().enumerate() {
        edges.push(start(kind, "tcp", &Where::Tcp(at[place])));
        edges.push(start(kind, "socket", &sockets[place]));
    }
    let order = house.bytes(&asking("GET /orders/1", &["Fastly-Key: {good}"]));
    let health = house.bytes(&asking("GET /health", &[]));
    let without = house.bytes(&asking("GET /orders/1", &[]));
    let ask = |edge: &Edge, request: &[u8]| wire::send(&Where::Tcp(edge.at), request);
    for edge in &edges {
        assert_eq!(ask(edge, &order).status, 200, "{:?}", edge.kind);
        assert_eq!(ask(edge, &without).reason(), Some("credential_missing"), "{:?}", edge.kind);
    }
    assert_eq!(api.take().len(), edges.len());

    house.close();
    // All at once: HAProxy tries for some seconds.
    thread::scope(|scope| {
        for edge in &edges {
            for request in [&order, &health, &without] {
                scope.spawn(move || {
                    let answer = ask(edge, request);
                    assert!(matches!(answer.status, 502 | 503), "{:?}: {answer:?}", edge.kind);
                });
            }
        }
    });
    assert!(api.take().is_empty(), "something came through without a decision");

    house.open();
    for edge in &edges {
        let is_back = (0..500).any(|_| {
            thread::sleep(Duration::from_millis(10));
            ask(edge, &order).status == 200
        });
        assert!(is_back, "{:?} does not find the gate again", edge.kind);
    }
    let hits = api.take();
    assert!(hits.iter().all(|hit| hit.all("x-auth-subject").len() == 1), "{hits:?}");
}

/// Whoever answers there says these bytes to every question, and then nothing.
fn refused_if_answered(said: &'static [u8]) {
    let (home, api, gate) = (Home::new(), Recorder::start(), free_address());
    let listener = TcpListener::bind(gate).expect("an address");
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut client in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut client, said);
            kept.push(client);
        }
    });
    let edges = ALL.map(|kind| Edge::start(kind, home.path(), &Where::Tcp(gate), api.at, |file| file));
    let request = asking("GET /orders/1", &["Fastly-Key: x"]);
    let ask = |edge: &Edge| wire::send(&Where::Tcp(edge.at), request.as_bytes());
    let answers: Vec<Answer> = thread::scope(|scope| {
        let asking: Vec<_> = edges.iter().map(|edge| scope.spawn(|| ask(edge))).collect();
        asking.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    for (edge, answer) in edges.iter().zip(answers) {
        assert!((500..=504).contains(&answer.status), "{:?}: {answer:?}", edge.kind);
    }
    assert!(api.take().is_empty(), "something came through without a decision");
}

#[test]
fn a_gate_that_does_not_answer_is_none() {
    refused_if_answered(b"");
}

#[test]
fn half_an_answer_is_none() {
    refused_if_answered(b"HTTP/1.1 200 OK\r\nX-Auth-Subject: somebody\r\n");
}

#[test]
fn what_is_no_http_is_no_answer() {
    refused_if_answered(b"220 mail.example.com ESMTP\r\n");
}

/// HAProxy goes on after an error in a script; the shipped file does not.
#[test]
fn an_error_in_haproxys_script_lets_nobody_in() {
    let (home, api) = (Home::new(), Recorder::start());
    let broken = home.path().join("broken.lua");
    let script =
        "core.register_action(\"keygate\", { \"http-req\" }, function(txn, address) error(\"x\") end, 1)\n";
    std::fs::write(&broken, script).expect("a file");
    let with_it = |file: String| {
        let (before, rest) = file.split_once("lua-load ").expect("a script");
        let (_, after) = rest.split_once('\n').expect("more lines");
        format!("{before}lua-load {}\n{after}", broken.display())
    };
    let edge = Edge::start(Kind::Haproxy, home.path(), &Where::Tcp(free_address()), api.at, with_it);
    let request = asking("GET /orders/1", &["Fastly-Key: x"]);
    assert_eq!(wire::send(&Where::Tcp(edge.at), request.as_bytes()).status, 503);
    assert!(api.take().is_empty(), "something came through without a decision");
}

/// An answer of somebody else, who lets everybody in, does not say who calls: HAProxy's script sees that.
#[test]
fn haproxy_lets_nobody_in_who_is_not_named() {
    let (home, api, gate) = (Home::new(), Recorder::start(), free_address());
    let listener = TcpListener::bind(gate).expect("an address");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let said = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Auth-Subject: somebody\r\n\r\n";
            let _ = std::io::Write::write_all(&mut client, said);
        }
    });
    let edge = Edge::start(Kind::Haproxy, home.path(), &Where::Tcp(gate), api.at, |file| file);
    let request = asking("GET /orders/1", &["Fastly-Key: x"]);
    assert_eq!(wire::send(&Where::Tcp(edge.at), request.as_bytes()).status, 503);
    assert!(api.take().is_empty(), "something came through without a decision");
}
