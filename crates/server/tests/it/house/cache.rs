//! A cache node that says yes: for purges.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// Answers every `PURGE` as Keygate's VCL does, and remembers it.
pub(crate) struct Cache {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Cache {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::new(Mutex::default());
        let shared = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
        });
        Self { address, heard }
    }

    /// As a service names it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many purges it has done.
    pub(crate) fn purges(&self) -> usize {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

async fn answer(stream: TcpStream, heard: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while stream.read_line(&mut head).await.is_ok_and(|read| read > 0) {
        if !head.ends_with("\r\n\r\n") {
            continue;
        }
        assert!(head.starts_with("PURGE "), "{head}");
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut head));
        let yes = b"HTTP/1.1 200 OK\r\nKeygate-Purged: 1\r\nContent-Length: 0\r\n\r\n";
        stream.get_mut().write_all(yes).await.expect("somebody listens");
    }
}
