//! Bodies flow piece by piece, and only where they are wanted.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    wire::{self, Framing},
    world::{Client, Served, Upstream, ok, within},
};

#[tokio::test]
async fn pieces_arrive_before_the_whole_is_there() {
    let upstream = Upstream::scripted(|mut reader| async move {
        let head = wire::head(&mut reader).await.unwrap().unwrap();
        assert_eq!(head.framing, Framing::Chunked);
        wire::write(reader.get_mut(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        // Each piece goes back before the next one is sent.
        let mut piece = [0; 6];
        for _ in 0..3 {
            tokio::io::AsyncReadExt::read_exact(&mut reader, &mut piece).await.unwrap();
            wire::write(reader.get_mut(), piece).await;
        }
        let end = b"0\r\n\r\n";
        tokio::io::AsyncReadExt::read_exact(&mut reader, &mut piece[..end.len()]).await.unwrap();
        wire::write(reader.get_mut(), end).await;
    })
    .await;
    let proxy = Served::before(upstream.address).await;
    let mut client = Client::of(proxy.address).await;
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!(within(wire::head(&mut client.0)).await.unwrap().unwrap().status(), "200");
    for piece in ["1\r\na\r\n", "1\r\nb\r\n", "1\r\nc\r\n", "0\r\n\r\n"] {
        client.send(piece).await;
        let mut back = vec![0; piece.len()];
        within(tokio::io::AsyncReadExt::read_exact(&mut client.0, &mut back)).await.unwrap();
        assert_eq!(back, piece.as_bytes());
    }
}

#[tokio::test]
async fn a_body_waits_for_the_upstreams_continue() {
    let upstream = Upstream::scripted(|mut reader| async move {
        let head = wire::head(&mut reader).await.unwrap().unwrap();
        assert_eq!(head.header("expect"), Some("100-continue"));
        sleep(Duration::from_millis(300)).await;
        wire::write(reader.get_mut(), "HTTP/1.1 100 Continue\r\n\r\n").await;
        let mut body = [0; 3];
        tokio::io::AsyncReadExt::read_exact(&mut reader, &mut body).await.unwrap();
        wire::write(reader.get_mut(), ok(std::str::from_utf8(&body).unwrap())).await;
    })
    .await;
    let proxy = Served::before(upstream.address).await;
    let mut client = Client::of(proxy.address).await;
    client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
    let early = timeout(Duration::from_millis(200), wire::head(&mut client.0)).await;
    assert!(early.is_err(), "the proxy promised what the upstream had not: {early:?}");
    assert_eq!(within(client.answer()).await.unwrap().status(), "100");
    client.send("abc").await;
    assert_eq!(within(client.answer()).await.unwrap().text(), "abc");
}

#[tokio::test]
async fn a_body_that_is_not_wanted_is_not_asked_for() {
    let refusal = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno";
    let upstream = Upstream::scripted(move |mut reader| async move {
        let _ = wire::head(&mut reader).await;
        wire::write(reader.get_mut(), refusal).await;
        assert_eq!(wire::rest(&mut reader).await, b"", "a body came all the same");
    })
    .await;
    let proxy = Served::before(upstream.address).await;
    for path in ["/", "/refused"] {
        let mut client = Client::of(proxy.address).await;
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
        client.send(head).await;
        let answer = within(client.answer()).await.unwrap();
        assert_eq!(answer.text(), "no", "{}", answer.start);
    }
}

#[tokio::test]
async fn an_upstream_that_ignores_expect_gets_the_body_after_a_second() {
    let upstream = Upstream::answering(|request| ok(&request.text())).await;
    let proxy = Served::before(upstream.address).await;
    let mut client = Client::of(proxy.address).await;
    client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
    assert_eq!(within(client.answer()).await.unwrap().status(), "100");
    client.send("abc").await;
    assert_eq!(within(client.answer()).await.unwrap().text(), "abc");
}

/// The answer comes while megabytes are still being sent: it must arrive, and not be lost in a reset.
#[tokio::test]
async fn an_early_answer_arrives_whole() {
    let upstream = Upstream::scripted(|mut reader| async move {
        let _ = wire::head(&mut reader).await;
        wire::write(reader.get_mut(), "HTTP/1.1 413 Too Much\r\nContent-Length: 8\r\n\r\ntoo much").await;
        sleep(Duration::from_secs(2)).await;
    })
    .await;
    let proxy = Served::before(upstream.address).await;
    for path in ["/", "/refused"] {
        let client = Client::of(proxy.address).await;
        let (mut read, mut write) = client.0.into_inner().into_split();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 64000000\r\n\r\n");
        wire::write(&mut write, head).await;
        // A reset would end this, and on a real network lose the answer on its way.
        let sent = within(tokio::io::AsyncWriteExt::write_all(&mut write, &vec![0; 64_000_000])).await;
        assert!(sent.is_ok(), "{path}: the connection was reset: {sent:?}");
        let answer = String::from_utf8(within(wire::rest(&mut read)).await).unwrap();
        assert!(answer.ends_with("too much") || answer.ends_with("no"), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_its_connection() {
    let upstream = Upstream::scripted(|mut reader| async move {
        let _ = wire::request(&mut reader).await;
        wire::write(reader.get_mut(), "HTTP/1.1 200 OK\r\n\r\nabc").await;
    })
    .await;
    let proxy = Served::before(upstream.address).await;
    let mut client = Client::of(proxy.address).await;
    for _ in 0..2 {
        let answer = within(client.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).await.unwrap();
        assert_eq!((answer.framing, answer.text().as_str()), (Framing::Chunked, "abc"));
    }
}
