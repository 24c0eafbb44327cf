//! A client that sends exactly what it is told to, from an address of its choice.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    time::timeout,
};

const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A request in the making, to the shop.
#[derive(Clone)]
pub(crate) struct Ask {
    line: Vec<u8>,
    host: String,
    headers: Vec<(String, Vec<u8>)>,
    from: &'static str,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Ask {
    pub(crate) fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        let line = [method.as_bytes(), b" ", target.as_ref()].concat();
        Self { line, host: crate::house::HOST.to_owned(), headers: Vec::new(), from: "127.0.0.2" }
    }

    pub(crate) fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn at(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// From another address of this machine's.
    pub(crate) fn from(mut self, address: &'static str) -> Self {
        self.from = address;
        self
    }

    pub(crate) fn key(self, secret: &str) -> Self {
        self.header("Fastly-Key", secret)
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sends it over a connection of its own.
    pub(crate) async fn send(&self, to: SocketAddr) -> Answer {
        let mut request = [&self.line, &b" HTTP/1.1\r\nHost: "[..], self.host.as_bytes(), b"\r\n"].concat();
        for (name, value) in &self.headers {
            request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        request.extend(b"Connection: close\r\nContent-Length: 0\r\n\r\n");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind(SocketAddr::new(self.from.parse().expect("an address"), 0))
            .expect("one of this machine's");
        let mut stream = socket.connect(to).await.expect("the edge listens");
        stream.write_all(&request).await.expect("the edge reads");
        let mut answer = Vec::new();
        let whole = async {
            // Envoy waits for a second before it closes a connection that it did not like.
            while !is_whole(&answer) && stream.read_buf(&mut answer).await.expect("read") > 0 {}
        };
        timeout(ANSWER_MAX, whole).await.expect("an answer in time");
        Answer::parse(&String::from_utf8_lossy(&answer))
    }
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// A header. Two of the same name are a mistake.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut values =
            lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        let first = values.next();
        assert_eq!(values.next(), None, "{name} twice:\n{}", self.head);
        first
    }
}

/// Whether there is as much of it as it says that it is long.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| length.parse() == Ok(body.len()))
}
