//! How long a connection may keep us waiting: one clock tick a second for all connections, instead of a timer for every
//! request, which cost a tenth of the authorise path (measured).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::AbortHandle,
};

use crate::proxy::strict::Reader;

/// Seconds from the first byte of a request to the first of its answer: for slow headers and slow bodies alike. Longer
/// than anything we wait for ourselves, unless a handler says so ([`Patient`]).
const REQUEST_SECONDS_MAX: u32 = 20;

/// Seconds that a connection may be quiet between requests, or not take an answer.
const QUIET_SECONDS_MAX: u32 = 60;

/// All connections, and the tick.
#[derive(Default)]
pub(crate) struct Patience {
    tick: Arc<AtomicU32>,
    waits: Mutex<Vec<Arc<Wait>>>,
}

/// What a connection waits for, and since when.
#[derive(Default)]
struct Wait {
    /// The tick of the last change, twice, and one more while a request is coming in.
    since: AtomicU32,
    /// The tick until which a handler needs the connection, whatever else is.
    needed_until: AtomicU32,
    connection: OnceLock<AbortHandle>,
}

/// A stream that notes when its wait begins and ends, and reads along for what hyper lets through and must not.
pub(crate) struct Watched<S> {
    stream: S,
    reader: Reader,
    tick: Arc<AtomicU32>,
    wait: Arc<Wait>,
}

/// Where the task of a connection is noted, so that it can be ended.
pub(crate) struct Leash(Arc<Wait>);

/// With a request, for its handler to say that the answer takes longer than others: only once it is known who asks, or
/// anybody could keep connections that long.
#[derive(Clone)]
pub(crate) struct Patient {
    tick: Arc<AtomicU32>,
    wait: Arc<Wait>,
}

impl Patience {
    /// Watches a connection.
    pub(crate) fn watch<S>(&self, stream: S) -> (Watched<S>, Leash, Patient) {
        let wait = Arc::new(Wait::default());
        wait.since.store(self.tick.load(Ordering::Relaxed) << 1, Ordering::Relaxed);
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&wait));
        let watched = Watched {
            stream,
            reader: Reader::default(),
            tick: Arc::clone(&self.tick),
            wait: Arc::clone(&wait),
        };
        let patient = Patient { tick: Arc::clone(&self.tick), wait: Arc::clone(&wait) };
        (watched, Leash(wait), patient)
    }

    /// Ticks for as long as it is polled, and ends the connections that have kept us waiting for too long.
    pub(crate) async fn keep_ticking(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.tick.fetch_add(1, Ordering::Relaxed) + 1;
            let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
            waits.retain(|wait| Arc::strong_count(wait) > 1);
            waits.iter().filter(|wait| wait.is_over(now)).for_each(|wait| wait.end());
        }
    }
}

impl Wait {
    fn is_over(&self, now: u32) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        let most = if since & 1 == 1 { REQUEST_SECONDS_MAX } else { QUIET_SECONDS_MAX };
        now.saturating_sub(since >> 1) > most && now > self.needed_until.load(Ordering::Relaxed)
    }

    fn end(&self) {
        if let Some(connection) = self.connection.get() {
            tracing::debug!("a connection kept us waiting for too long and is cut");
            connection.abort();
        }
    }
}

impl Patient {
    /// Keeps the connection for so long, and for what is said after that to be written.
    pub(crate) fn waits_for(&self, time: Duration) {
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX).saturating_add(REQUEST_SECONDS_MAX);
        let until = self.tick.load(Ordering::Relaxed).saturating_add(seconds);
        self.wait.needed_until.fetch_max(until, Ordering::Relaxed);
    }
}

impl Leash {
    /// Notes the task of the connection.
    pub(crate) fn hold(self, connection: AbortHandle) {
        // A connection has one task.
        let _ = self.0.connection.set(connection);
    }
}

impl<S> Watched<S> {
    fn begins(&self) {
        if self.wait.since.load(Ordering::Relaxed) & 1 == 0 {
            self.wait.since.store(self.tick.load(Ordering::Relaxed) << 1 | 1, Ordering::Relaxed);
        }
    }

    fn ends(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(_))) {
            self.wait.since.store(self.tick.load(Ordering::Relaxed) << 1, Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(instead) = self.reader.instead(buf) {
            return instead;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.begins();
            let admitted = self.reader.read(&mut buf.filled_mut()[before..]);
            buf.set_filled(before + admitted);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.ends(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.ends(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_take_less_time_than_quiet() {
        let wait = Wait::default();
        assert!(!wait.is_over(QUIET_SECONDS_MAX) && wait.is_over(QUIET_SECONDS_MAX + 1));
        wait.since.store(100 << 1 | 1, Ordering::Relaxed);
        assert!(!wait.is_over(100 + REQUEST_SECONDS_MAX) && wait.is_over(101 + REQUEST_SECONDS_MAX));
    }

    #[test]
    fn a_handler_that_waits_keeps_its_connection() {
        let patience = Patience::default();
        let (_watched, leash, patient) = patience.watch(tokio::io::empty());
        patience.tick.store(10, Ordering::Relaxed);
        leash.0.since.store(10 << 1 | 1, Ordering::Relaxed);
        patient.waits_for(Duration::from_secs(60));
        patient.waits_for(Duration::from_secs(5));
        let last = 10 + 60 + REQUEST_SECONDS_MAX;
        assert!(!leash.0.is_over(last) && leash.0.is_over(last + 1));
    }
}
