//! HTTP/1.1 by hand over one kept connection: an answer is seen byte by byte, and nothing is sent twice in secret.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// One connection, opened when it is needed.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

/// A request.
#[derive(Clone, Default)]
pub(crate) struct Ask {
    line: String,
    headers: String,
    body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    /// `GET /tokens`, say.
    pub(crate) fn new(line: &str) -> Self {
        Self { line: line.to_owned(), ..Self::default() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn key(self, secret: &str) -> Self {
        self.header("Fastly-Key", secret)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().as_bytes())
    }

    pub(crate) fn body(mut self, kind: &str, body: &[u8]) -> Self {
        body.clone_into(&mut self.body);
        self.header("Content-Type", kind)
    }

    /// What to call it in a message.
    pub(crate) fn shown(&self) -> String {
        format!("{} {:?} {:?}", self.line, self.headers, String::from_utf8_lossy(&self.body))
    }

    fn bytes(&self) -> Vec<u8> {
        let length = if self.body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", self.body.len())
        };
        let head = format!("{} HTTP/1.1\r\nHost: keygate.test\r\n{}{length}\r\n", self.line, self.headers);
        [head.as_bytes(), &self.body].concat()
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Opens the connection before the first request does.
    pub(crate) fn connect(&mut self) -> io::Result<&mut BufReader<TcpStream>> {
        if self.stream.is_none() {
            let stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            self.stream = Some(BufReader::new(stream));
        }
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Asks. An error says nothing of whether it was done.
    pub(crate) fn ask(&mut self, ask: &Ask) -> io::Result<Answer> {
        self.send(ask).and_then(|()| self.receive())
    }

    /// Asks a server that must answer.
    pub(crate) fn must(&mut self, ask: &Ask) -> Answer {
        self.ask(ask).unwrap_or_else(|why| panic!("no answer to {}: {why}", ask.line))
    }

    /// Sends without waiting for the answer.
    pub(crate) fn send(&mut self, ask: &Ask) -> io::Result<()> {
        let bytes = ask.bytes();
        let sent = self.connect().and_then(|stream| stream.get_mut().write_all(&bytes));
        if sent.is_err() {
            self.stream = None;
        }
        sent
    }

    /// Waits for the answer to what was sent.
    pub(crate) fn receive(&mut self) -> io::Result<Answer> {
        let answer = self.connect().and_then(read);
        let keeps = answer.as_ref().is_ok_and(|answer| answer.header("connection") != Some("close"));
        if !keeps {
            self.stream = None;
        }
        answer
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Answer> {
    let odd = || io::Error::from(io::ErrorKind::InvalidData);
    let line = read_line(stream)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(odd)?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").ok_or_else(odd)?;
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    if status != 204 {
        let len = answer.header("content-length").and_then(|len| len.parse().ok()).ok_or_else(odd)?;
        answer.body = vec![0; len];
        stream.read_exact(&mut answer.body)?;
    }
    Ok(answer)
}

fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A member of the body that is text.
    pub(crate) fn text(&self, name: &str) -> String {
        let json = self.json();
        let text = json.get(name).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no {name:?} in {} {json}", self.status)).to_owned()
    }

    /// The stable word for a refusal.
    pub(crate) fn code(&self) -> String {
        self.json().get("code").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}
