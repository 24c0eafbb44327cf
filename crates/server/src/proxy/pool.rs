//! Connections to the upstream, kept for the next request. The last one given back is the first one taken, so that what
//! is not needed goes stale and is closed.
//!
//! hyper-util's own pool spawns a task for nearly every answer; this one cost a fifth less of a core in the same run.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::{HeaderValue, Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Timeouts,
    body::Upload,
    stream,
    upstream::{Connected, Upstream},
    wait::{self, Wait, Waits},
};

/// The connections that nobody uses now.
pub(super) struct Pool {
    upstream: Upstream,
    timeouts: Timeouts,
    waits: Arc<Waits>,
    idle: Mutex<Vec<Connection>>,
}

struct Connection {
    sender: SendRequest<Upload>,
    wait: Arc<Wait>,
}

/// A connection while it is one request's.
pub(super) struct Lease {
    connection: Connection,
    pool: Arc<Pool>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// No connection could be made.
    Unreachable(io::Error),
    /// It took longer than it may.
    Late,
    /// What came was no answer.
    Broken(hyper::Error),
}

impl Pool {
    pub(super) fn new(upstream: Upstream, timeouts: Timeouts, waits: Arc<Waits>) -> Arc<Self> {
        Arc::new(Self { upstream, timeouts, waits, idle: Mutex::default() })
    }

    /// Sends a request, and waits for the head of its answer.
    ///
    /// A kept connection may have been closed by the upstream just now. A request of which nothing was sent is sent
    /// again on another. One that was sent, is safe to repeat and has no body is sent again once on a new one, if the
    /// connection had been quiet: only then was it likely closed before it was read, and only then is it worth a copy.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Lease), Failed> {
        let kept = self.kept().await;
        let mut is_last_try = kept.is_none();
        let mut lease = match kept {
            Some(lease) => lease,
            None => self.connect().await?,
        };
        loop {
            let copy = (!is_last_try && lease.wait().is_stale()).then(|| copy(&request)).flatten();
            lease.wait().turn(self.timeouts.answer_seconds);
            request.body_mut().goes_to(lease.wait());
            let mut failed = match lease.connection.sender.try_send_request(request).await {
                Ok(answer) => return Ok((answer, lease)),
                Err(failed) => failed,
            };
            request = match failed.take_message().or(copy) {
                Some(again) if !is_last_try => again,
                _ if lease.wait().was_cut() => return Err(Failed::Late),
                _ => return Err(Failed::Broken(failed.into_error())),
            };
            (is_last_try, lease) = (true, self.connect().await?);
        }
    }

    /// The upstream's own `Host`.
    pub(super) fn authority(&self) -> &HeaderValue {
        &self.upstream.authority
    }

    /// Forgets what has been closed.
    pub(super) fn prune(&self) {
        self.idle().retain(|connection| !connection.sender.is_closed());
    }

    async fn kept(self: &Arc<Self>) -> Option<Lease> {
        loop {
            let connection = self.idle().pop()?;
            let mut lease = Lease { connection, pool: Arc::clone(self) };
            let sender = &mut lease.connection.sender;
            // The last answer is whole, so it is ready at once or not at all.
            if sender.is_ready() || sender.ready().await.is_ok() {
                return Some(lease);
            }
        }
    }

    async fn connect(self: &Arc<Self>) -> Result<Lease, Failed> {
        let connected = tokio::select! {
            connected = self.upstream.connect() => connected.map_err(Failed::Unreachable)?,
            () = wait::seconds(self.timeouts.connect_seconds) => return Err(Failed::Late),
        };
        match connected {
            Connected::Tcp(stream) => self.shake_hands(stream).await,
            Connected::Other(stream) => self.shake_hands(stream).await,
        }
    }

    async fn shake_hands<S>(self: &Arc<Self>, stream: S) -> Result<Lease, Failed>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let wait = self.waits.begin(0);
        let stream = TokioIo::new(stream::Upstream::new(stream, Arc::clone(&wait)));
        let (sender, connection) = http1::handshake(stream).await.map_err(Failed::Broken)?;
        let task = tokio::spawn(async move {
            if let Err(why) = connection.with_upgrades().await {
                tracing::debug!(error = %why, "a connection to the upstream ended early");
            }
        });
        wait.hold(task.abort_handle());
        Ok(Lease { connection: Connection { sender, wait }, pool: Arc::clone(self) })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    pub(super) fn wait(&self) -> &Arc<Wait> {
        &self.connection.wait
    }

    /// The answer is whole, and the request was.
    pub(super) fn give_back(self) {
        let Self { connection, pool } = self;
        if !connection.sender.is_closed() {
            connection.wait.turn(pool.timeouts.kept_seconds);
            pool.idle().push(connection);
        }
    }
}

/// The same request again, if it may be sent twice.
fn copy(request: &Request<Upload>) -> Option<Request<Upload>> {
    if !request.method().is_idempotent() || !request.body().is_none() {
        return None;
    }
    let mut copy = Request::new(Upload::none());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}
