//! Whole runs against small servers of the test's own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const LAST: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";

/// A server that answers each read on a connection with the next of `answers`, then closes it.
fn server(answers: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, answers));
        }
    });
    address
}

fn answer(mut stream: TcpStream, answers: &[&str]) {
    let mut buffer = [0; 4096];
    for text in answers {
        if !matches!(stream.read(&mut buffer), Ok(1..)) || stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn load(target: SocketAddr, requests_max: u64) -> Load {
    let requests = Requests::around("GET / HTTP/1.1\r\nx: ", ["a", "b"], "\r\n\r\n");
    Load { connections: 4, warmup: Duration::ZERO, requests_max, ..Load::new(target, requests) }
}

#[test]
fn every_request_sent_is_answered_and_counted() {
    let found = load(server(&[FINE; 1000]), 1000).run(Some(std::process::id())).expect("a run");
    assert!(found.is_clean(), "{found}");
    assert_eq!(found.statuses, [(200, 1000)].into());
    assert_eq!(found.reconnects, 0);
    assert!(found.p50 > 0.0 && found.p50 <= found.p999);
    assert!(found.server_cpu.is_some());
}

#[test]
fn an_unexpected_status_is_told() {
    let target = server(&[FINE, REFUSED, REFUSED, FINE, FINE]);
    let mut load = Load { connections: 1, ..load(target, 5) };
    let found = load.run(None).expect("a run");
    assert_eq!((found.unexpected, found.is_clean()), (2, false));
    load.expected.push(403);
    assert!(load.run(None).expect("a run").is_clean());
}

#[test]
fn a_server_that_closes_is_connected_to_again() {
    let found = load(server(&[FINE, FINE, LAST]), 300).run(None).expect("a run");
    assert!(found.is_clean(), "{found}");
    assert!((90..=100).contains(&found.reconnects), "{found}");
}

#[test]
fn a_lost_answer_is_told() {
    let found = load(server(&[FINE, "HTTP/1.1 20"]), 100).run(None).expect("a run");
    assert_eq!(found.lost + found.statuses[&200], 100, "{found}");
    assert!(found.lost >= 48 && !found.is_clean(), "{found}");
}

#[test]
fn a_malformed_answer_is_told() {
    let found = load(server(&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]), 10).run(None);
    let found = found.expect("a run");
    assert_eq!((found.malformed, found.lost, found.is_clean()), (10, 0, false));
}

#[test]
fn a_silent_server_does_not_hold_the_run() {
    let target = server(&[""; 2]);
    let load = Load { duration: Duration::from_millis(50), ..load(target, 100) };
    let found = load.run(None).expect("a run");
    assert!(found.statuses.is_empty() && !found.is_clean());
}

#[test]
fn only_loopback_is_loaded() {
    for far in ["192.0.2.1:80", "[2001:db8::1]:80", "0.0.0.0:80"] {
        let refused = load(far.parse().expect("an address"), 1).run(None).expect_err("far away");
        assert!(refused.to_string().contains("loopback"), "{refused}");
    }
}
