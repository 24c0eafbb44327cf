//! WebSockets: a tunnel once the upstream has said 101, and not before.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::sleep,
};

use crate::{
    wire::{self, Message, Reader},
    world::{Client, Served, Upstream, impatient, ok, to, within},
};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const OPEN: &str = "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// An upstream that switches and then does as `script` has it.
async fn switching<F>(script: impl Fn(Message, Reader) -> F + Send + Clone + 'static) -> Upstream
where
    F: Future<Output = ()> + Send + 'static,
{
    Upstream::scripted(move |mut reader| {
        let script = script.clone();
        async move {
            let Ok(Some(request)) = wire::request(&mut reader).await else { return };
            wire::write(reader.get_mut(), SWITCH).await;
            script(request, reader).await;
        }
    })
    .await
}

async fn echo(request: Message, mut reader: Reader) {
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(request.header("connection"), Some("upgrade"));
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
    let mut piece = vec![0; 10_000];
    while let Ok(length @ 1..) = reader.read(&mut piece).await {
        wire::write(reader.get_mut(), &piece[..length]).await;
    }
    wire::write(reader.get_mut(), "bye").await;
}

async fn open(proxy: &Served) -> Client {
    let mut client = Client::of(proxy.address).await;
    let answer = within(client.ask(OPEN.as_bytes())).await.unwrap();
    assert_eq!(answer.status(), "101");
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("connection"), Some("upgrade"));
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    client
}

#[tokio::test]
async fn bytes_go_both_ways_and_one_end_may_stop_first() {
    let upstream = switching(echo).await;
    let proxy = Served::before(upstream.address).await;
    let mut client = open(&proxy).await;
    for frame in [b"\x81\x05hello".as_slice(), b"\n\r\n\0 GET / HTTP/1.1\n\n", &wire::bytes(3 << 20)] {
        let (mut read, mut write) = tokio::io::split(&mut client.0);
        let mut back = vec![0; frame.len()];
        let (sent, received) =
            within(async { tokio::join!(write.write_all(frame), read.read_exact(&mut back)) }).await;
        sent.unwrap();
        received.unwrap();
        assert_eq!(back, frame);
    }
    client.0.shutdown().await.unwrap();
    assert_eq!(within(wire::rest(&mut client.0)).await, b"bye", "the other half goes on");
}

#[tokio::test]
async fn the_upstream_may_speak_first_and_stop_first() {
    let upstream = switching(|_, mut reader| async move {
        wire::write(reader.get_mut(), "first").await;
        reader.shutdown().await.unwrap();
        assert_eq!(wire::rest(&mut reader).await, b"last");
    })
    .await;
    let proxy = Served::before(upstream.address).await;
    let mut client = open(&proxy).await;
    assert_eq!(within(wire::rest(&mut client.0)).await, b"first");
    client.send("last").await;
}

#[tokio::test]
async fn a_refused_upgrade_is_an_answer_like_any_other() {
    let upstream = Upstream::answering(|_| ok("no")).await;
    let proxy = Served::before(upstream.address).await;
    let mut client = Client::of(proxy.address).await;
    for _ in 0..2 {
        let answer = within(client.ask(OPEN.as_bytes())).await.unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), ("200", "no"));
    }
    assert_eq!(*upstream.connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn no_other_protocol_is_tunnelled() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let proxy = Served::before(upstream.address).await;
    for upgrade in ["h2c", "TLS/1.0", "own"] {
        let mut client = Client::of(proxy.address).await;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: {upgrade}\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        );
        assert_eq!(within(client.ask(request.as_bytes())).await.unwrap().status(), "200");
        let seen = upstream.take().pop().unwrap();
        for gone in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(seen.header(gone), None, "{upgrade}");
        }
    }
}

#[tokio::test]
async fn a_tunnel_on_which_nothing_moves_is_closed_and_a_slow_one_is_not() {
    let upstream = switching(echo).await;
    let mut proxy = to(upstream.address);
    proxy.timeouts = impatient();
    let proxy = Served::start(proxy).await;
    let (mut slow, mut quiet) = (open(&proxy).await, open(&proxy).await);
    let dripping = async {
        for _ in 0..8 {
            sleep(Duration::from_millis(500)).await;
            slow.send("a").await;
            assert_eq!(slow.0.read_u8().await.unwrap(), b'a');
        }
    };
    within(dripping).await;
    assert!(quiet.is_closed_within(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn an_upstream_that_goes_away_ends_the_tunnel() {
    let upstream = switching(|_, reader| async move { drop(reader) }).await;
    let proxy = Served::before(upstream.address).await;
    let mut client = open(&proxy).await;
    assert_eq!(within(wire::rest(&mut client.0)).await, b"");
}
