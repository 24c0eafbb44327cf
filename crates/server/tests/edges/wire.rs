//! HTTP/1.1 by hand: every byte as it is meant, from any address of this machine.

use std::{
    io::{Read, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

/// How long an answer may take. What never ends is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where somebody listens.
#[derive(Clone, Debug)]
pub(crate) enum Where {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// 0: nothing.
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// An address that nobody else takes: one of this machine's own 16 million, by the number of this process.
pub(crate) fn free_address() -> SocketAddr {
    static PORT: AtomicU16 = AtomicU16::new(20_000);
    let [_, high, mid, low] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, 100 + high % 100, mid, low);
    SocketAddr::from((ip, PORT.fetch_add(1, Ordering::Relaxed)))
}

/// Sends these bytes over a connection of their own.
pub(crate) fn send(to: &Where, request: &[u8]) -> Answer {
    match to {
        Where::Tcp(at) => send_from(Ipv4Addr::LOCALHOST, *at, request),
        Where::Unix(path) => {
            let stream = UnixStream::connect(path).expect("somebody listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
            // Who refuses early does not read the rest.
            let _ = (&stream).write_all(request);
            read(stream, request.starts_with(b"HEAD "))
        }
    }
}

/// The same, from this address.
pub(crate) fn send_from(from: Ipv4Addr, to: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = connect_from(from, to);
    let _ = stream.write_all(request);
    read(stream, request.starts_with(b"HEAD "))
}

/// A connection from this address.
pub(crate) fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        socket.connect(to).await?.into_std()
    });
    let stream = stream.expect("somebody listens");
    stream.set_nonblocking(false).expect("it can wait");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream
}

/// Reads one answer.
pub(crate) fn read(mut from: impl Read, without_body: bool) -> Answer {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(answer) = parse(&bytes, without_body, false) {
            return answer;
        }
        match from.read(&mut chunk) {
            Ok(0) | Err(_) => return parse(&bytes, without_body, true).unwrap_or_default(),
            Ok(len) => bytes.extend_from_slice(&chunk[..len]),
        }
    }
}

fn parse(bytes: &[u8], without_body: bool, ended: bool) -> Option<Answer> {
    let (lines, rest) = split_head(bytes)?;
    let status = lines.first()?.split(' ').nth(1)?.parse().ok()?;
    let answer = Answer { status, headers: headers(&lines[1..]), body: rest.to_vec() };
    let whole = match answer.header("content-length").and_then(|len| len.parse().ok()) {
        _ if without_body || matches!(status, 204 | 304) => true,
        Some(len) => rest.len() >= len,
        None if answer.header("transfer-encoding").is_some() => rest.ends_with(b"0\r\n\r\n"),
        None => false,
    };
    (whole || ended).then_some(answer)
}

/// The lines of a head, each byte a letter, and what follows.
pub(crate) fn split_head(bytes: &[u8]) -> Option<(Vec<String>, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text: String = bytes[..end].iter().copied().map(char::from).collect();
    Some((text.split("\r\n").map(str::to_owned).collect(), &bytes[end + 4..]))
}

/// Names in small letters, and values.
pub(crate) fn headers(lines: &[String]) -> Vec<(String, String)> {
    let pairs = lines.iter().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
        .collect()
}

impl Answer {
    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} twice: {self:?}");
        value
    }

    /// Keygate's word for a refusal.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.header("x-authz-reason")
    }
}
