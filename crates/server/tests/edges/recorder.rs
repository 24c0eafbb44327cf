//! The API behind the edge: it keeps every request as it came, and lets everybody do everything.

use std::{
    fmt,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::wire::{self, free_address};

/// An answer that a cache may keep for a minute.
const ANSWER: &str = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: ";

/// The API. Its thread ends with the test.
pub(crate) struct Recorder {
    pub(crate) at: SocketAddr,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A request that came.
pub(crate) struct Hit {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) bytes: Vec<u8>,
}

impl Recorder {
    pub(crate) fn start() -> Self {
        let at = free_address();
        let listener = TcpListener::bind(at).expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { at, requests }
    }

    /// The requests since the last time.
    pub(crate) fn take(&self) -> Vec<Hit> {
        let requests = std::mem::take(&mut *self.requests.lock().expect("nobody panics here"));
        requests.into_iter().map(Hit::parse).collect()
    }
}

impl Hit {
    fn parse(bytes: Vec<u8>) -> Self {
        let (lines, _) = wire::split_head(&bytes).expect("a head");
        let mut words = lines[0].splitn(3, ' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Self { method, target, headers: wire::headers(&lines[1..]), bytes }
    }

    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let values = self.headers.iter().filter(|(other, _)| other == name);
        values.map(|(_, value)| value.as_str()).collect()
    }
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Vec<Vec<u8>>>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        while let Some(len) = whole(&bytes) {
            let request: Vec<u8> = bytes.drain(..len).collect();
            let is_head = request.starts_with(b"HEAD ");
            kept.lock().expect("nobody panics here").push(request);
            let answer = format!("{ANSWER}2\r\n\r\n{}", if is_head { "" } else { "ok" });
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(len) => bytes.extend_from_slice(&chunk[..len]),
        }
    }
}

/// How long the first request is, if all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let (lines, rest) = wire::split_head(bytes)?;
    let headers = wire::headers(&lines[1..]);
    let value =
        |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let head = bytes.len() - rest.len();
    let body = match value("content-length") {
        _ if value("transfer-encoding").is_some() => {
            rest.windows(5).position(|window| window == b"0\r\n\r\n")? + 5
        }
        Some(len) => len.parse().expect("a length"),
        None => 0,
    };
    (rest.len() >= body).then_some(head + body)
}
