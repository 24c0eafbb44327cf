//! Upstreams that are no TCP sockets, or speak TLS.

use std::path::PathBuf;

use keygate_server::proxy::Proxy;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixListener,
};

use crate::world::{Client, Served, Upstream, ok, within};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_unix_socket_is_an_upstream() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("proxy-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let upstream = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            stream.write_all(&ok(&length.to_string())).await.unwrap();
        }
    });
    let proxy = Proxy::to(format!("unix:{}", path.display()).parse().unwrap());
    let proxy = Served::start(proxy).await;
    let mut client = Client::of(proxy.address).await;
    for _ in 0..2 {
        assert_eq!(within(client.ask(GET)).await.unwrap().status(), "200");
    }
    within(upstream).await.unwrap();
    std::fs::remove_file(path).unwrap();
}

/// Plain HTTP at the other end: what is sent must be encrypted or not at all.
#[tokio::test]
async fn https_is_never_plain() {
    let upstream = Upstream::answering(|_| ok("plain")).await;
    let proxy = Proxy::to(format!("https://{}", upstream.address).parse().unwrap());
    let proxy = Served::start(proxy).await;
    let answer = within(Client::of(proxy.address).await.ask(GET)).await.unwrap();
    assert_eq!(answer.status(), "502");
    assert_eq!(upstream.take(), []);
}
