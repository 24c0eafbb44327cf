//! Upstreams that are slow, gone, or go away in the middle.

use std::time::Duration;

use tokio::{net::TcpListener, time::sleep};

use crate::{
    wire::{self, Broken, Message},
    world::{Client, Served, Upstream, impatient, ok, to, within},
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

async fn ask(proxy: &Served, request: &[u8]) -> Result<Message, Broken> {
    within(Client::of(proxy.address).await.ask(request)).await
}

async fn impatiently(upstream: &Upstream) -> Served {
    let mut proxy = to(upstream.address);
    proxy.timeouts = impatient();
    Served::start(proxy).await
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_502_that_says_no_more() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Served::before(gone).await;
    let answer = ask(&proxy, GET).await.unwrap();
    assert_eq!(answer.status(), "502");
    assert_eq!(answer.text(), r#"{"msg":"The upstream cannot be reached","code":"upstream_unreachable"}"#);
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_a_504() {
    let upstream = Upstream::scripted(|reader| async move {
        sleep(Duration::from_secs(20)).await;
        drop(reader);
    })
    .await;
    let proxy = impatiently(&upstream).await;
    for request in [GET, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"] {
        let answer = ask(&proxy, request).await.unwrap();
        assert_eq!(answer.status(), "504");
        assert!(answer.text().contains("upstream_timeout"));
    }
}

#[tokio::test]
async fn an_upstream_that_closes_is_a_502_and_a_body_is_never_sent_twice() {
    let upstream = Upstream::scripted(|mut reader| async move {
        let _ = wire::request(&mut reader).await;
    })
    .await;
    let proxy = Served::before(upstream.address).await;
    for request in [GET, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"] {
        *upstream.connections.lock().unwrap() = 0;
        assert_eq!(ask(&proxy, request).await.unwrap().status(), "502");
        assert_eq!(*upstream.connections.lock().unwrap(), 1);
    }
}

/// The first request of a connection is answered, the second one is read and not answered.
async fn forgetful() -> (Upstream, Served) {
    let upstream = Upstream::scripted(|mut reader| async move {
        let _ = wire::request(&mut reader).await;
        wire::write(reader.get_mut(), ok("")).await;
        let _ = wire::request(&mut reader).await;
    })
    .await;
    let proxy = Served::before(upstream.address).await;
    (upstream, proxy)
}

#[tokio::test]
async fn what_a_kept_connection_did_not_answer_is_asked_again_if_that_is_safe() {
    for (request, status, connections) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "200", 2),
        ("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", "200", 2),
        ("POST / HTTP/1.1\r\nHost: x\r\n\r\n", "502", 1),
        ("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na", "502", 1),
    ] {
        let (upstream, proxy) = forgetful().await;
        assert_eq!(ask(&proxy, GET).await.unwrap().status(), "200");
        sleep(Duration::from_millis(2100)).await;
        assert_eq!(ask(&proxy, request.as_bytes()).await.unwrap().status(), status, "{request:?}");
        assert_eq!(*upstream.connections.lock().unwrap(), connections, "{request:?}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_not_used() {
    let upstream = Upstream::scripted(|mut reader| async move {
        let _ = wire::request(&mut reader).await;
        wire::write(reader.get_mut(), ok("")).await;
    })
    .await;
    let proxy = Served::before(upstream.address).await;
    for _ in 0..3 {
        let post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na";
        assert_eq!(ask(&proxy, post).await.unwrap().status(), "200");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_broken_for_the_client_too() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
    ] {
        let upstream = Upstream::scripted(move |mut reader| async move {
            let _ = wire::request(&mut reader).await;
            wire::write(reader.get_mut(), answer).await;
            sleep(Duration::from_millis(100)).await;
        })
        .await;
        let proxy = Served::before(upstream.address).await;
        assert_eq!(ask(&proxy, GET).await, Err(Broken), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_stops_moving_is_broken_off() {
    let upstream = Upstream::scripted(|mut reader| async move {
        let _ = wire::request(&mut reader).await;
        wire::write(reader.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
        sleep(Duration::from_secs(20)).await;
    })
    .await;
    let proxy = impatiently(&upstream).await;
    assert_eq!(ask(&proxy, GET).await, Err(Broken));
}

#[tokio::test]
async fn a_slow_upstream_that_does_move_is_waited_for() {
    let upstream = Upstream::scripted(|mut reader| async move {
        let _ = wire::request(&mut reader).await;
        wire::write(reader.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n").await;
        for _ in 0..8 {
            sleep(Duration::from_millis(600)).await;
            wire::write(reader.get_mut(), "a").await;
        }
    })
    .await;
    let proxy = impatiently(&upstream).await;
    assert_eq!(ask(&proxy, GET).await.unwrap().text(), "aaaaaaaa");
}

#[tokio::test]
async fn a_kept_connection_is_closed_when_nobody_needs_it() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let proxy = impatiently(&upstream).await;
    for _ in 0..2 {
        assert_eq!(ask(&proxy, GET).await.unwrap().status(), "200");
        sleep(Duration::from_millis(3500)).await;
    }
    assert_eq!(*upstream.connections.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_protocol_that_nobody_asked_for_is_no_answer() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let upstream = Upstream::answering(|_| switch.as_bytes().to_vec()).await;
    let proxy = Served::before(upstream.address).await;
    assert_eq!(ask(&proxy, GET).await.unwrap().status(), "502");
}
