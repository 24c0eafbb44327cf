//! A client may be slow, and not for ever.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::house::House;

/// One byte of a header now and then, for longer than a request may take, and never a whole head.
#[tokio::test]
async fn a_head_that_never_ends_is_cut_and_a_quiet_connection_is_not() {
    let house = House::new().await;
    let address = house.anon().address();
    let (mut slow, mut quiet) =
        (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    for _ in 0..10 {
        sleep(Duration::from_secs(2)).await;
        assert!(slow.write_all(b"a").await.is_ok(), "cut too early");
    }
    let mut rest = Vec::new();
    let end = timeout(Duration::from_secs(5), slow.read_to_end(&mut rest)).await;
    assert!(end.is_ok() && rest.is_empty(), "still open after 25 seconds: {end:?}");
    quiet.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    quiet.read_to_end(&mut rest).await.unwrap();
    assert!(rest.starts_with(b"HTTP/1.1 200"), "the quiet one was cut too");
}
