//! Clients that are slow, go away, or speak HTTP/2 or HTTP/1.0.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{Method, Request},
};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::oneshot, time::sleep};

use crate::{
    wire::{self, Framing},
    world::{Client, Served, Upstream, impatient, ok, to, within},
};

/// An upstream that reads a head, answers with `begin`, and says when its connection has ended.
async fn until_the_end(begin: &'static str) -> (Upstream, oneshot::Receiver<Vec<u8>>) {
    let (sender, ended) = oneshot::channel();
    let sender = Arc::new(Mutex::new(Some(sender)));
    let upstream = Upstream::scripted(move |mut reader| {
        let sender = Arc::clone(&sender);
        async move {
            let _ = wire::head(&mut reader).await;
            wire::write(reader.get_mut(), begin).await;
            let rest = wire::rest(&mut reader).await;
            if let Some(sender) = sender.lock().unwrap().take() {
                let _ = sender.send(rest);
            }
        }
    })
    .await;
    (upstream, ended)
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_request_along() {
    for (begin, request) in [
        ("", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"),
        ("", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    ] {
        let (upstream, ended) = until_the_end(begin).await;
        let proxy = Served::before(upstream.address).await;
        let mut client = Client::of(proxy.address).await;
        client.send(request).await;
        sleep(Duration::from_millis(200)).await;
        drop(client);
        let body = within(ended).await.unwrap();
        assert!(!body.ends_with(b"0\r\n\r\n"), "half a body was made a whole one: {body:?}");
    }
}

#[tokio::test]
async fn slow_heads_and_slow_bodies_are_cut() {
    let (upstream, ended) = until_the_end("").await;
    let mut proxy = to(upstream.address);
    proxy.timeouts = impatient();
    proxy.timeouts.answer_seconds = 30;
    let proxy = Served::start(proxy).await;
    let mut slow = Client::of(proxy.address).await;
    slow.send("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    let dripping = async {
        loop {
            sleep(Duration::from_millis(300)).await;
            if tokio::io::AsyncWriteExt::write_all(&mut slow.0, b"a").await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(6), dripping).await.expect("a head may not take for ever");
    let mut quiet = Client::of(proxy.address).await;
    quiet.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc").await;
    assert!(quiet.is_closed_within(Duration::from_secs(6)).await);
    assert_eq!(within(ended).await.unwrap(), b"abc");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let (upstream, ended) = {
        let (sender, ended) = oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let upstream = Upstream::scripted(move |mut reader| {
            let sender = Arc::clone(&sender);
            async move {
                let _ = wire::head(&mut reader).await;
                wire::write(reader.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: 99000000\r\n\r\n").await;
                wire::write(reader.get_mut(), vec![b'a'; 99_000_000]).await;
                let _ = sender.lock().unwrap().take().unwrap().send(());
            }
        })
        .await;
        (upstream, ended)
    };
    let mut proxy = to(upstream.address);
    proxy.timeouts = impatient();
    let proxy = Served::start(proxy).await;
    let mut client = Client::of(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    tokio::time::timeout(Duration::from_secs(8), ended).await.expect("it is sent to for ever").unwrap();
    assert!(within(client.answer()).await.is_err(), "the whole body was somewhere");
}

#[tokio::test]
async fn a_quiet_client_may_be_quiet_for_a_while() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let mut proxy = to(upstream.address);
    proxy.timeouts = impatient();
    let proxy = Served::start(proxy).await;
    let mut client = Client::of(proxy.address).await;
    for _ in 0..2 {
        within(client.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).await.unwrap();
        sleep(Duration::from_millis(1900)).await;
    }
    within(client.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).await.unwrap();
    assert!(client.is_closed_within(Duration::from_secs(8)).await);
}

#[tokio::test]
async fn http_1_0_gets_what_it_can_read() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let upstream = Upstream::answering(|_| answer.as_bytes().to_vec()).await;
    let proxy = Served::before(upstream.address).await;
    let mut client = Client::of(proxy.address).await;
    let answer = within(client.ask(b"GET / HTTP/1.0\r\n\r\n")).await.unwrap();
    assert_eq!((answer.framing, answer.text().as_str()), (Framing::Close, "abc"));
    let seen = upstream.take().pop().unwrap();
    assert_eq!(seen.start, "GET / HTTP/1.1");
    assert_eq!(seen.header("host"), Some(upstream.address.to_string().as_str()));
}

#[tokio::test]
async fn http_2_by_prior_knowledge_goes_the_same_way() {
    let upstream = Upstream::answering(|request| ok(&format!("{} {}", request.start, request.length))).await;
    let proxy = Served::before(upstream.address).await;
    let stream = TokioIo::new(TcpStream::connect(proxy.address).await.unwrap());
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let post = |body: &'static str| {
        let mut sender = sender.clone();
        async move {
            let request = Request::builder().method(Method::POST).uri("http://api.example/a?b");
            let request = request.header("cookie", "a=1").header("cookie", "b=2");
            let mut answer = sender.send_request(request.body(Body::from(body)).unwrap()).await.unwrap();
            let bytes = answer.body_mut().collect().await.unwrap().to_bytes();
            (answer.status(), bytes)
        }
    };
    let (one, two) = within(async { tokio::join!(post("abc"), post("")) }).await;
    assert_eq!(one, (axum::http::StatusCode::OK, Bytes::from("POST /a?b HTTP/1.1 3")));
    assert_eq!(two.1, "POST /a?b HTTP/1.1 0");
    for seen in upstream.take() {
        assert_eq!(seen.header("host"), Some("api.example"));
        assert_eq!(seen.header("cookie"), Some("a=1; b=2"));
        assert_eq!(seen.header("forwarded"), Some("for=127.0.0.1;host=\"api.example\";proto=http"));
    }
    connection.abort();
}

#[tokio::test]
async fn http_2_asks_for_no_other_host_than_it_says() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let proxy = Served::before(upstream.address).await;
    let stream = TokioIo::new(TcpStream::connect(proxy.address).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::builder().uri("http://api.example/").header("host", "other.example");
    let answer = within(sender.send_request(request.body(Body::empty()).unwrap())).await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(upstream.take(), []);
    connection.abort();
}
