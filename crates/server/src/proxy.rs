//! A reverse proxy with a guard inside: what it lets through goes to one upstream, and the answer comes back, both
//! piece by piece. `docs/proxy.md` is its contract.
//!
//! No TLS towards clients: HTTP/1.1, and HTTP/2 by prior knowledge.

mod body;
mod exchange;
mod headers;
mod pool;
mod stream;
pub(crate) mod strict;
mod tunnel;
mod upstream;
mod wait;

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderName, Response, request::Parts};
use futures_util::future::BoxFuture;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use keygate_model::Networks;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub use self::upstream::{BadUpstream, Upstream};
use self::{exchange::Client, pool::Pool, stream::Link, wait::Waits};
use crate::serve;

/// Where requests go, and how.
#[derive(Clone)]
pub struct Proxy {
    /// Where requests go.
    pub upstream: Upstream,
    /// Proxies in front of this one, whose word about the client is passed on and added to. None: nobody's.
    pub trusted: Option<Networks>,
    /// Whether the upstream sees the client's `Host`, or its own.
    pub preserve_host: bool,
    /// Whether requests say in `Via` that they came through here, as RFC 9110 §7.6.3 wants it.
    pub via: bool,
    /// Headers that only the guard may set: whatever a client sends under these names is dropped before it is asked.
    pub reserved: Vec<HeaderName>,
    /// What a request waits for before the guard decides. None: nothing, whichever it is.
    pub pause: Option<Pause>,
    /// How long what may take.
    pub timeouts: Timeouts,
}

/// Says by its headers what a request waits for. None: nothing.
pub type Pause = Arc<dyn Fn(&HeaderMap) -> Option<BoxFuture<'static, ()>> + Send + Sync>;

/// Seconds that things may take. Kept by one tick a second, so they are right to a second.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To connect to the upstream.
    pub connect_seconds: u32,
    /// From the end of a request to the head of its answer.
    pub answer_seconds: u32,
    /// Without a byte in the middle of a body, from or to either side.
    pub idle_seconds: u32,
    /// From the first byte of a request to the end of its head.
    pub head_seconds: u32,
    /// For a client between two requests.
    pub quiet_seconds: u32,
    /// For a connection to the upstream between two requests.
    pub kept_seconds: u32,
    /// Without a byte on a WebSocket.
    pub tunnel_seconds: u32,
    /// For what is under way after the stop.
    pub drain_seconds: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_seconds: 5,
            answer_seconds: 60,
            idle_seconds: 60,
            head_seconds: 20,
            quiet_seconds: 60,
            kept_seconds: 30,
            tunnel_seconds: 600,
            drain_seconds: 10,
        }
    }
}

impl Proxy {
    /// A proxy to this upstream, with everything else as it is by default.
    #[must_use]
    pub fn to(upstream: Upstream) -> Self {
        Self {
            upstream,
            trusted: None,
            preserve_host: true,
            via: true,
            reserved: Vec::new(),
            pause: None,
            timeouts: Timeouts::default(),
        }
    }
}

/// Decides about a request before it is sent on, without waiting for anything. It may change the headers: what only a
/// proxy may say, what is about the connection and what is reserved is gone by then. The address is the client's: the
/// peer's, or, if that is a trusted proxy, the one it names (with the peer's port).
pub trait Guard:
    Fn(&mut Parts, SocketAddr) -> Result<(), Box<Response<axum::body::Body>>> + Send + Sync + 'static
{
}

impl<F> Guard for F where
    F: Fn(&mut Parts, SocketAddr) -> Result<(), Box<Response<axum::body::Body>>> + Send + Sync + 'static
{
}

/// What all connections share.
struct Shared<G> {
    proxy: Proxy,
    guard: G,
    pool: Arc<Pool>,
    /// Each open tunnel holds a receiver.
    tunnels: watch::Sender<()>,
}

/// Serves until `stop` is done, then lets what is under way end.
pub async fn serve(listener: TcpListener, proxy: Proxy, guard: impl Guard, stop: impl Future<Output = ()>) {
    let (timeouts, waits) = (proxy.timeouts, Arc::new(Waits::default()));
    let pool = Pool::new(proxy.upstream.clone(), timeouts, Arc::clone(&waits));
    let shared = Arc::new(Shared { proxy, guard, pool: Arc::clone(&pool), tunnels: watch::Sender::new(()) });
    let (builder, graceful) = (serve::builder(), GracefulShutdown::new());
    let ticking = keep_ticking(Arc::clone(&waits), pool);
    tokio::pin!(stop, ticking);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ticking => continue,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => connect(stream, peer, &shared, &waits, (&builder, &graceful)),
            Err(why) => {
                tracing::warn!(error = %why, "a connection could not be accepted; out of file descriptors?");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let drained = async { tokio::join!(graceful.shutdown(), shared.tunnels.closed()) };
    tokio::select! {
        _ = drained => {}
        () = ticking => {}
        () = wait::seconds(timeouts.drain_seconds) => {
            tracing::warn!("some connections did not end in time and are cut");
        }
    }
    waits.cut_all();
}

async fn keep_ticking(waits: Arc<Waits>, pool: Arc<Pool>) {
    loop {
        wait::seconds(1).await;
        waits.tick();
        pool.prune();
    }
}

fn connect<G: Guard>(
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared<G>>,
    waits: &Waits,
    (builder, graceful): (&Builder<TokioExecutor>, &GracefulShutdown),
) {
    if let Err(why) = stream.set_nodelay(true) {
        tracing::debug!(error = %why, "no TCP_NODELAY");
    }
    let wait = waits.begin(shared.proxy.timeouts.quiet_seconds);
    let link = Link::new(Arc::clone(&wait), shared.proxy.timeouts);
    let stream = stream::Client::new(stream, Arc::clone(&link));
    let (shared, client) = (Arc::clone(shared), Arc::new(Client::new(peer, link, shared)));
    let service = service_fn(move |request: axum::http::Request<Incoming>| {
        let (shared, client) = (Arc::clone(&shared), Arc::clone(&client));
        async move { Ok::<_, Infallible>(exchange::answer(shared, client, request).await) }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    let task = tokio::spawn(async move {
        if let Err(why) = connection.await {
            tracing::debug!(error = %why, "a connection ended early");
        }
    });
    wait.hold(task.abort_handle());
}
