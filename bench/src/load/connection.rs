//! One connection: a request out, its answer in, and a new connection when the old one is spent.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::answer::{Answer, Malformed, Reader};

/// One kept-alive connection with at most one request in flight.
pub(super) struct Connection {
    stream: TcpStream,
    reader: Reader,
    bodyless: bool,
    sent: Option<Instant>,
}

/// What a connection had to say when it became readable.
pub(super) enum Heard {
    /// The answer is not whole yet.
    Nothing,
    Answer(Answer),
    Closed,
    Malformed(&'static str),
}

impl Connection {
    pub(super) fn open(target: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect_timeout(&target, CONNECT_MAX)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE)?;
        Ok(Self { stream, reader: Reader::default(), bodyless: false, sent: None })
    }

    /// Sends a request. A fault is not told here: the read that follows hears of it.
    pub(super) fn send(&mut self, request: &[u8], at: Instant) {
        self.bodyless = request.starts_with(b"HEAD ");
        self.sent = Some(at);
        if self.stream.write(request).ok() != Some(request.len()) {
            // Closed by the server, as a rule. If not, closing makes it so, and the poll returns.
            let _ = self.stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// The request in flight is settled, for good or ill; when it was sent.
    pub(super) fn settle(&mut self) -> Option<Instant> {
        self.sent.take()
    }

    /// Reads what has come. One read is enough as a rule: the poll is edge-triggered, and a read that did not fill
    /// the buffer has emptied the socket, so the usual second read that only says "nothing more" is spared.
    pub(super) fn hear(&mut self, buffer: &mut [u8]) -> Heard {
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Heard::Closed,
                Ok(read) => read,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Heard::Nothing,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Heard::Closed,
            };
            if self.sent.is_none() {
                return Heard::Malformed("bytes that no request asked for");
            }
            match self.reader.feed(&buffer[..read], self.bodyless) {
                Ok(Some(answer)) => return Heard::Answer(answer),
                Ok(None) if read < buffer.len() => return Heard::Nothing,
                Ok(None) => {}
                Err(Malformed(why)) => return Heard::Malformed(why),
            }
        }
    }
}

const CONNECT_MAX: Duration = Duration::from_secs(1);
