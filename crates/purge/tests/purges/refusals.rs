//! Who may not purge, and what visitors do not see.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::varnish::exchange;
use crate::*;

fn shop() -> (Origin, Varnish) {
    let origin = Origin::start();
    origin.page("shop.example/", "Surrogate-Key: home\r\n");
    let cache = Varnish::start(&origin, "");
    assert_eq!(cache.get("shop.example", "/"), "1");
    (origin, cache)
}

/// A request as a stranger writes it, with extra header lines.
fn request(method: &str, headers: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n")
}

#[tokio::test]
async fn an_address_that_is_not_listed_cannot_purge() {
    let (_origin, cache) = shop();
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.2:0".parse().expect("an address")).expect("all of 127/8 is this machine");
    let mut stream = socket.connect(cache.address()).await.expect("varnishd listens");
    stream.write_all(request("PURGE", "").as_bytes()).await.expect("varnishd reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("varnishd answers");
    assert!(answer.starts_with("HTTP/1.1 403 Not a purger\r\n"), "{answer}");
    assert_eq!(cache.get("shop.example", "/"), "1");
}

#[tokio::test]
async fn a_purge_that_a_proxy_passed_on_is_refused() {
    let (_origin, cache) = shop();
    for headers in ["", "Keygate-Purge-Keys: shop.example/\r\n"] {
        let headers = format!("X-Forwarded-For: 203.0.113.9\r\n{headers}");
        let answer = exchange(cache.address(), &request("PURGE", &headers));
        assert!(answer.starts_with("HTTP/1.1 403 Not a purger\r\n"), "{answer}");
    }
    assert_eq!(cache.get("shop.example", "/"), "1");
}

#[tokio::test]
async fn another_method_does_not_purge() {
    let (_origin, cache) = shop();
    let answer = exchange(cache.address(), &request("POST", "Keygate-Purge-Keys: shop.example/\r\n"));
    assert!(answer.starts_with("HTTP/1.1 403 Purging is done with PURGE\r\n"), "{answer}");
    assert_eq!(cache.get("shop.example", "/"), "1");
}

#[tokio::test]
async fn a_host_that_could_not_be_a_domain_is_refused() {
    let (_origin, cache) = shop();
    for host in ["a,shop.example/home", "shop.example/x", "a b", "a\\0b"] {
        let answer = exchange(
            cache.address(),
            &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        );
        assert!(answer.starts_with("HTTP/1.1 400 "), "{host}: {answer}");
    }
}

#[tokio::test]
async fn visitors_see_neither_keys_nor_index() {
    let (_origin, cache) = shop();
    let answer = exchange(cache.address(), &request("GET", "")).to_ascii_lowercase();
    assert!(
        !answer.contains("surrogate-key") && !answer.contains("xkey") && !answer.contains("keygate"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_purge_by_hand_says_what_it_did() {
    let (_origin, cache) = shop();
    let answer = exchange(cache.address(), &request("PURGE", "Keygate-Purged: 99\r\n"));
    assert!(
        answer.contains("\r\nKeygate-Purged: 1\r\n") && answer.ends_with("\r\n\r\nPurged 1\n"),
        "{answer}"
    );
}
