//! Requests that two readers could take apart differently, by raw socket: refused, the connection closed, and nothing of
//! them seen by the upstream (SECURITY-BAR B26, B30).

use std::time::Duration;

use crate::{
    wire,
    world::{Client, Served, Upstream, ok, within},
};

/// What follows each: seen only by whoever takes it for a request of its own.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

async fn refused(proxy: &Served, upstream: &Upstream, request: &str) {
    let mut client = Client::of(proxy.address).await;
    client.send(format!("{request}{SMUGGLED}")).await;
    let answer = within(client.answer()).await.unwrap_or_else(|_| panic!("no answer to {request:?}"));
    assert!(["400", "431", "414"].contains(&answer.status()), "{} to {request:?}", answer.start);
    assert!(client.is_closed_within(Duration::from_secs(8)).await, "still open after {request:?}");
    assert_eq!(upstream.take(), [], "{request:?} went through");
}

#[tokio::test]
async fn what_two_may_read_differently_is_refused() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let proxy = Served::before(upstream.address).await;
    let chunked = "0\r\n\r\n";
    for request in [
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunked}"
        ),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na".to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na".to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na".to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na".to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\na".to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(),
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{chunked}"),
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n{chunked}"),
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n{chunked}"),
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n{chunked}"),
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"
        ),
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n{chunked}"),
        format!("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\n X: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\nHost: x\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\n\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\rX: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\nX\r\n\r\n".to_owned(),
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET / HTTP/1.2\r\nHost: x\r\n\r\n".to_owned(),
        "GET / HTTP/2.0\r\nHost: x\r\n\r\n".to_owned(),
        "GET /\r\nHost: x\r\n\r\n".to_owned(),
        "GET /#a HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(70_000)),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000)),
    ] {
        refused(&proxy, &upstream, &request).await;
    }
}

/// These are whole and plain, so the connection may go on; but they are not for an origin.
#[tokio::test]
async fn targets_and_hosts_that_are_no_origins_are_refused() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let proxy = Served::before(upstream.address).await;
    for request in [
        "GET http://evil/admin HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
        "CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET admin HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET ?a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x, y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\";for=evil\r\n\r\n",
    ] {
        let mut client = Client::of(proxy.address).await;
        let answer = within(client.ask(request.as_bytes())).await.unwrap();
        assert_eq!(answer.status(), "400", "{request:?}");
        assert_eq!(upstream.take(), [], "{request:?} went through");
    }
}

/// Behind a body whose chunks are no chunks, nothing is a request.
#[tokio::test]
async fn bodies_that_cannot_be_read_end_the_connection() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let proxy = Served::before(upstream.address).await;
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "1\na\r\n0\r\n\r\n",
        "1;a\nb\r\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        "\r\na\r\n0\r\n\r\n",
        "fffffffffffffffff\r\na\r\n0\r\n\r\n",
        "0\r\nX: a\n\r\n",
    ] {
        let mut client = Client::of(proxy.address).await;
        client.send(format!("{head}{body}{SMUGGLED}")).await;
        let answered = within(wire::rest(&mut client.0)).await;
        assert!(!answered.starts_with(b"HTTP/1.1 200"), "{body:?}");
        assert_eq!(upstream.take(), [], "{body:?} went through, or what follows did");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_up_to_the_bad_one() {
    let upstream = Upstream::answering(|request| ok(&request.start)).await;
    let proxy = Served::before(upstream.address).await;
    let mut client = Client::of(proxy.address).await;
    let plain = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    client
        .send(format!("{}{}GET /3 HTTP/1.1\r\nHost: x\n\r\n{}", plain("/1"), plain("/2"), plain("/4")))
        .await;
    for path in ["/1", "/2"] {
        assert!(within(client.answer()).await.unwrap().text().contains(path));
    }
    assert_eq!(within(client.answer()).await.unwrap().status(), "400");
    assert_eq!(upstream.take().len(), 2);
}

/// Answers that two could read differently are none.
#[tokio::test]
async fn answers_are_held_to_the_same() {
    for headers in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "X: a\r\n folded\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{headers}\r\n1\r\na\r\n0\r\n\r\n");
        let upstream = Upstream::answering(move |_| answer.as_bytes().to_vec()).await;
        let proxy = Served::before(upstream.address).await;
        let mut client = Client::of(proxy.address).await;
        let answer = within(client.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).await.unwrap();
        assert_eq!(answer.status(), "502", "{headers:?}");
        assert!(answer.text().contains("upstream_malformed"), "{}", answer.text());
    }
}
