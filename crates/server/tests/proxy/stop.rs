//! A stop lets what has begun end, for a while.

use std::time::Duration;

use tokio::{io::AsyncReadExt as _, net::TcpStream, time::sleep};

use crate::{
    wire,
    world::{Client, Served, Upstream, impatient, ok, to, within},
};

async fn slow() -> Upstream {
    Upstream::scripted(|mut reader| async move {
        while let Ok(Some(_)) = wire::request(&mut reader).await {
            sleep(Duration::from_millis(700)).await;
            wire::write(reader.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nde").await;
            sleep(Duration::from_millis(300)).await;
            wire::write(reader.get_mut(), "ad").await;
        }
    })
    .await
}

#[tokio::test]
async fn what_has_begun_is_answered_and_nothing_begins() {
    let upstream = slow().await;
    let mut proxy = Served::before(upstream.address).await;
    let (mut busy, mut idle) = (Client::of(proxy.address).await, Client::of(proxy.address).await);
    within(idle.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).await.unwrap();
    busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sleep(Duration::from_millis(200)).await;
    let ended = proxy.stop();
    assert!(idle.is_closed_within(Duration::from_millis(400)).await, "nobody waits for an idle one");
    assert!(TcpStream::connect(proxy.address).await.is_err(), "somebody still listens");
    let answer = within(busy.answer()).await.unwrap();
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("dead", Some("close")));
    tokio::time::timeout(Duration::from_secs(1), ended).await.expect("nothing is left to wait for").unwrap();
}

#[tokio::test]
async fn what_does_not_end_is_cut() {
    let upstream = Upstream::answering(|request| match request.header("upgrade") {
        None => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na".to_vec(),
        Some(_) => {
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".to_vec()
        }
    })
    .await;
    let mut proxy = to(upstream.address);
    proxy.timeouts = impatient();
    (proxy.timeouts.idle_seconds, proxy.timeouts.tunnel_seconds) = (30, 30);
    let mut proxy = Served::start(proxy).await;
    let (mut half, mut tunnel) = (Client::of(proxy.address).await, Client::of(proxy.address).await);
    half.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    tunnel.send("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
    assert_eq!(within(wire::head(&mut tunnel.0)).await.unwrap().unwrap().status(), "101");
    sleep(Duration::from_millis(200)).await;
    let ended = proxy.stop();
    sleep(Duration::from_secs(1)).await;
    assert!(!ended.is_finished(), "two seconds are for ending well");
    tokio::time::timeout(Duration::from_secs(3), ended).await.expect("cut").unwrap();
    assert!(half.is_closed_within(Duration::from_millis(500)).await);
    assert_eq!(within(tunnel.0.read_u8()).await.ok(), None);
}

#[tokio::test]
async fn a_tunnel_is_let_end() {
    let upstream = Upstream::scripted(|mut reader| async move {
        let _ = wire::request(&mut reader).await;
        let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        wire::write(reader.get_mut(), switch).await;
        let _ = reader.read_u8().await;
        wire::write(reader.get_mut(), ok("bye")).await;
    })
    .await;
    let mut proxy = Served::before(upstream.address).await;
    let mut client = Client::of(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
    assert_eq!(within(wire::head(&mut client.0)).await.unwrap().unwrap().status(), "101");
    let ended = proxy.stop();
    sleep(Duration::from_millis(300)).await;
    assert!(!ended.is_finished());
    client.send("a").await;
    assert!(within(wire::rest(&mut client.0)).await.ends_with(b"bye"));
    drop(client);
    tokio::time::timeout(Duration::from_secs(1), ended).await.expect("the last one has ended").unwrap();
}
