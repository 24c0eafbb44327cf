//! A server of canned answers, for what a healthy Keygate does not answer.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};

/// Gives one answer to each connection, in this order.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    requests: mpsc::Receiver<String>,
}

/// An answer with a JSON body.
pub(crate) fn json(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

impl Stub {
    pub(crate) fn new(answers: Vec<String>) -> Self {
        Self::with(answers, |stream| Box::new(stream))
    }

    /// Over TLS, with a certificate for `localhost`: the stub, and the certificate in PEM.
    pub(crate) fn tls(answers: Vec<String>) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a certificate with its key");
        let config = Arc::new(config);
        let stub = Self::with(answers, move |stream| {
            let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
            Box::new(StreamOwned::new(session, stream))
        });
        (stub, made.cert.pem())
    }

    fn with<W>(answers: Vec<String>, wrap: W) -> Self
    where
        W: Fn(std::net::TcpStream) -> Box<dyn Stream> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (heard, requests) = mpsc::channel();
        thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().expect("a connection");
                let mut stream = wrap(stream);
                // Whoever does not trust the certificate hangs up.
                let Some(request) = request(&mut *stream) else { continue };
                let _ = heard.send(request);
                let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
            }
        });
        Self { address, requests }
    }

    /// The next request that was heard; none if there was none.
    pub(crate) fn request(&self) -> Option<String> {
        self.requests.try_recv().ok()
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A head, and as much body as it says.
fn request(stream: &mut dyn Stream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut some = [0; 4096];
        match stream.read(&mut some) {
            Ok(read) if read > 0 => bytes.extend(&some[..read]),
            _ => return None,
        }
    }
}
