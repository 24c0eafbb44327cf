//! A client that sends exactly what it is told to: one request a connection, HTTP/1.1, nothing checked or repaired.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Whoever asks, with the token they show.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) address: SocketAddr,
    secret: Option<String>,
}

/// A request in the making.
pub(crate) struct Ask {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    reason: String,
    /// In the order they came in, their names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Caller {
    pub(crate) fn anon(address: SocketAddr) -> Self {
        Self { address, secret: None }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same way in, with this secret in `Fastly-Key`.
    pub(crate) fn showing(&self, secret: &str) -> Self {
        Self { address: self.address, secret: Some(secret.to_owned()) }
    }

    /// What nginx asks about a request of this to Keygate's own API, from this machine.
    pub(crate) fn proxied(&self, method: &str, path: &str) -> Ask {
        let ask = self.ask("GET", "/authz/auth-request").header("X-Original-Method", method);
        let ask = ask.header("X-Original-URL", format!("http://keygate.test{path}"));
        ask.header("X-Forwarded-For", "127.0.0.1")
    }

    pub(crate) fn ask(&self, method: &str, target: &str) -> Ask {
        let headers = self.secret.iter().map(|secret| ("Fastly-Key".to_owned(), secret.as_bytes().to_vec()));
        let (method, target) = (method.to_owned(), target.to_owned());
        Ask { address: self.address, method, target, headers: headers.collect(), body: Vec::new() }
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.ask("GET", target).send().await
    }

    pub(crate) async fn delete(&self, target: &str) -> Reply {
        self.ask("DELETE", target).send().await
    }
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn body(mut self, kind: &str, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self.header("Content-Type", kind)
    }

    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        self.body("application/x-www-form-urlencoded", &form(fields))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", &body.to_string())
    }

    pub(crate) async fn send(self) -> Reply {
        let bytes = self.bytes();
        let reply = exchange(self.address, &bytes).await;
        reply.unwrap_or_else(|| panic!("no answer to {:?}", String::from_utf8_lossy(&bytes)))
    }

    fn bytes(&self) -> Vec<u8> {
        let line = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let mut bytes = line.into_bytes();
        bytes.extend(format!("Host: {}\r\nConnection: close\r\n", self.address).into_bytes());
        bytes.extend(format!("Content-Length: {}\r\n", self.body.len()).into_bytes());
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

impl Reply {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8(bytes.to_vec()).expect("an answer in UTF-8");
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.splitn(3, ' ');
        assert_eq!(first.next(), Some("HTTP/1.1"));
        let (status, reason) = (first.next()?.parse().ok()?, first.next().unwrap_or_default().to_owned());
        let header =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Some(Self { status, reason, headers: lines.filter_map(header).collect(), body: body.to_owned() })
    }

    /// The body as JSON; null where there is none.
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.body);
        if self.body.is_empty() {
            Value::Null
        } else {
            parsed.unwrap_or_else(|why| panic!("{why}: {self:?}"))
        }
    }

    /// The header of this name. One that comes twice is a mistake.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found =
            self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let value = found.next();
        assert_eq!(found.next(), None, "{name} comes twice");
        value
    }

    /// Status and reason, as the status line and the header `Status` write them.
    pub(crate) fn status_text(&self) -> String {
        format!("{} {}", self.status, self.reason)
    }
}

/// Fields as a form.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Sends bytes and reads whatever comes back until the other side closes. A server that has heard enough may close
/// while bytes are still on their way. None: it closed without an answer.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Option<Reply> {
    let talk = async {
        let (mut from, mut to) = TcpStream::connect(address).await.expect("a connection").into_split();
        let mut answer = Vec::new();
        let (_, _) = tokio::join!(to.write_all(bytes), from.read_to_end(&mut answer));
        Reply::parse(&answer)
    };
    timeout(Duration::from_secs(60), talk).await.expect("an answer in time")
}
