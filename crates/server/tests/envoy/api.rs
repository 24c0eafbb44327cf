//! The API behind Envoy: answers everything with 200, and notes what it got, byte for byte.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// An API on a port of its own.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

/// A request that reached it.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: String,
    pub(crate) target: String,
    /// In the order they came in, their names in small letters.
    pub(crate) headers: Vec<(String, String)>,
}

impl Api {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let got = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&got);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if let Some(request) = read(&stream) {
                    noted.lock().expect("the notes").push(request);
                    let _ = (&stream)
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
                }
            }
        });
        Self { address, got }
    }

    /// What it got since it was last asked.
    pub(crate) fn take(&self) -> Vec<Got> {
        std::mem::take(&mut self.got.lock().expect("the notes"))
    }
}

impl Got {
    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// The head of a request; none of the tests' has a body.
fn read(stream: &TcpStream) -> Option<Got> {
    let mut lines = BufReader::new(stream).split(b'\n').map_while(Result::ok).map(|mut line| {
        line.pop();
        String::from_utf8_lossy(&line).into_owned()
    });
    let first = lines.next()?;
    let (method, rest) = first.split_once(' ')?;
    let (target, _) = rest.rsplit_once(' ')?;
    let headers = lines.take_while(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    Some(Got { method: method.to_owned(), target: target.to_owned(), headers: headers.collect() })
}
