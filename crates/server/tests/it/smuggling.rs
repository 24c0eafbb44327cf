//! Requests to Keygate's own listener that a proxy before it could take apart differently, by raw socket (SECURITY-BAR
//! B30). `tests/proxy` has the whole list, for the same reader.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::house::House;

/// What follows each: seen only by whoever takes it for a request of its own.
const SMUGGLED: &str = "GET /livez HTTP/1.1\r\nHost: smuggled\r\nConnection: close\r\n\r\n";

/// The statuses of all answers until the connection is closed.
async fn statuses(address: SocketAddr, request: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(format!("{request}{SMUGGLED}").as_bytes()).await.expect("it is sent");
    let mut answers = Vec::new();
    let end = timeout(Duration::from_secs(10), stream.read_to_end(&mut answers)).await;
    assert!(end.is_ok(), "still open after {request:?}");
    let answers = String::from_utf8_lossy(&answers);
    answers.split("HTTP/1.1 ").skip(1).map(|answer| answer.chars().take(3).collect()).collect()
}

#[tokio::test]
async fn what_a_proxy_may_read_differently_is_refused_and_nothing_behind_it_is_read() {
    let house = House::new().await;
    let address = house.anon().address();
    for body in ["Content-Length: 1\r\n\r\na", "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"] {
        let plain = format!("GET /livez HTTP/1.1\r\nHost: x\r\n{body}");
        assert_eq!(statuses(address, &plain).await, ["200", "200"], "{plain:?}");
    }
    for request in [
        "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
        "GET /livez HTTP/1.1\nHost: x\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: x\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: x\r\n\n",
        "GET /livez#a HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        assert_eq!(statuses(address, request).await, ["400"], "{request:?}");
    }
    // After an answer that is owed, which is not lost.
    let second = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\nHost: x\r\n\r\n";
    assert_eq!(statuses(address, second).await, ["200", "400"]);
}
