//! The connections' streams: what moves on them is noted in their waits, and a client's bytes are read along.
//!
//! Neither writes from several buffers at once, so hyper copies a body behind its head: for a small answer that costs a
//! tenth less of a core (measured).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{Timeouts, strict::Reader, wait::Wait};

/// A client's connection.
pub(super) struct Client {
    stream: TcpStream,
    reader: Reader,
    link: Arc<Link>,
    has_ended: bool,
}

/// What the stream of a client and its requests tell one another.
pub(super) struct Link {
    pub(super) wait: Arc<Wait>,
    /// From now on the bytes are no HTTP.
    pub(super) is_tunnel: AtomicBool,
    requests: AtomicU32,
    head_seconds: u32,
    quiet_seconds: u32,
}

/// One request of a client's, until its answer is over.
pub(super) struct Visit(Arc<Link>);

impl Link {
    pub(super) fn new(wait: Arc<Wait>, timeouts: Timeouts) -> Arc<Self> {
        let Timeouts { head_seconds, quiet_seconds, .. } = timeouts;
        let (is_tunnel, requests) = (AtomicBool::new(false), AtomicU32::new(0));
        Arc::new(Self { wait, is_tunnel, requests, head_seconds, quiet_seconds })
    }

    /// A request has begun: it is no longer the client's turn.
    pub(super) fn visit(self: &Arc<Self>) -> Visit {
        self.requests.fetch_add(1, Relaxed);
        self.wait.rest();
        Visit(Arc::clone(self))
    }
}

impl Visit {
    pub(super) fn wait(&self) -> &Wait {
        &self.0.wait
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Relaxed) == 1 && !self.0.is_tunnel.load(Relaxed) {
            self.0.wait.turn(self.0.quiet_seconds);
        }
    }
}

/// Seconds for a client to take the last answer, and to stop sending, before its connection is closed. Closing at once
/// would reset the connection, and the answer might be lost on the way.
const LINGER_SECONDS: u32 = 5;

impl Client {
    pub(super) fn new(stream: TcpStream, link: Arc<Link>) -> Self {
        Self { stream, reader: Reader::default(), link, has_ended: false }
    }

    /// Reads along. How much of `bytes` may be passed on.
    fn admit(&mut self, bytes: &mut [u8]) -> usize {
        if self.link.is_tunnel.load(Relaxed) {
            self.reader.let_through();
        }
        let was_in_head = self.reader.is_in_head();
        let admitted = self.reader.read(bytes);
        if !self.reader.is_in_head() {
            self.link.wait.moved();
        } else if !was_in_head {
            self.link.wait.turn(self.link.head_seconds);
        }
        admitted
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(instead) = self.reader.instead(buf) {
            return instead;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let admitted = self.admit(&mut buf.filled_mut()[before..]);
        buf.set_filled(before + admitted);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.link.wait.moved();
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_ended {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.has_ended = true;
            if !self.link.is_tunnel.load(Relaxed) {
                self.link.wait.turn(LINGER_SECONDS);
            }
        }
        if self.link.is_tunnel.load(Relaxed) || !self.reader.is_in_body() {
            return Poll::Ready(Ok(()));
        }
        let mut unwanted = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut unwanted);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// A connection to the upstream.
pub(super) struct Upstream<S> {
    stream: S,
    wait: Arc<Wait>,
}

impl<S> Upstream<S> {
    pub(super) fn new(stream: S, wait: Arc<Wait>) -> Self {
        Self { stream, wait }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Upstream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.wait.moved();
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Upstream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.wait.moved();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
