//! Serving: connections, their limits, and a stop that loses nothing.

use std::{convert::Infallible, future::Future, io, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::watch,
    task::JoinSet,
};
use tower::Service as _;

use crate::{
    api::health::admin_router,
    app::App,
    door::ClientIp,
    front::Front,
    metrics::Protocol,
    patience::{Patience, Patient},
    router::router,
    systemd,
    ways::{self, Doorway, Peer, Way, envoy_grpc},
};

/// The largest request line and headers, in bytes: the contract's 16 KiB of `Surrogate-Key`, and as much for the rest.
const HEADERS_LEN_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;

/// How long requests may go on after the stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Where connections come in.
pub enum Listener {
    /// At an address.
    Tcp(TcpListener),
    /// At a path; the socket there goes when serving ends.
    Unix(UnixListener, PathBuf),
}

/// What becomes of a request.
enum Next {
    Answered(Response<Body>),
    Later(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
    Route(Router, (ClientIp, Patient), Request<Incoming>),
}

/// What all connections share.
struct Hall {
    front: Arc<Front>,
    router: Router,
    admin: Router,
    builder: Builder<TokioExecutor>,
    patience: Patience,
}

/// Serves until `stop` is done, then lets the requests that have begun end, and writes the marks of use that wait.
pub async fn serve(doorways: Vec<(Listener, Doorway)>, app: Arc<App>, stop: impl Future<Output = ()>) {
    let routers = (router(Arc::clone(&app)), admin_router(Arc::clone(&app)));
    let ending = async {
        tokio::select! {
            () = stop => {}
            () = app.keep_flushing() => {}
            () = app.keep_beating() => {}
            () = app.feed.keep_beating(&app) => {}
            () = app.canary.keep_singing(&app, app.feed.canary()) => {}
        }
        app.begin_to_stop();
    };
    serve_front(doorways, Arc::clone(&app.front), routers, ending).await;
    app.settle_marks().await;
}

/// Serves the ways in, and these routers for the API and for those who watch, until `ending` is done and the requests that
/// have begun.
pub(crate) async fn serve_front(
    doorways: Vec<(Listener, Doorway)>,
    front: Arc<Front>,
    (router, admin): (Router, Router),
    ending: impl Future<Output = ()>,
) {
    let hall = Arc::new(Hall { front, router, admin, builder: builder(), patience: Patience::default() });
    let (quit, quitting) = watch::channel(());
    let (quit_watching, quitting_watching) = watch::channel(());
    let (mut accepting, mut watching) = (JoinSet::new(), JoinSet::new());
    for (listener, doorway) in doorways {
        hall.tell_metrics(&doorway);
        let (tasks, quitting) =
            if doorway.admin { (&mut watching, &quitting_watching) } else { (&mut accepting, &quitting) };
        tasks.spawn(accept(Arc::clone(&hall), listener, Arc::new(doorway), quitting.clone()));
    }
    tokio::select! {
        () = ending => {}
        () = hall.patience.keep_ticking() => {}
    }
    drop(quit);
    while accepting.join_next().await.is_some() {}
    // Until the last request is answered, those who watch can see that this process takes no more.
    drop(quit_watching);
    while watching.join_next().await.is_some() {}
}

/// Accepts connections at one address, until it is told to quit.
async fn accept(
    hall: Arc<Hall>,
    listener: Listener,
    doorway: Arc<Doorway>,
    mut quitting: watch::Receiver<()>,
) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = hall.accept(&listener, &doorway, &graceful) => accepted,
            _ = quitting.changed() => break,
        };
        if let Err(why) = accepted {
            tracing::warn!(error = %why, "a connection could not be accepted; out of file descriptors?");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    listener.close();
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time and are cut");
    }
}

impl Listener {
    /// Where it listens, as people write it.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => {
                listener.local_addr().map_or_else(|why| why.to_string(), |at| at.to_string())
            }
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    fn close(self) {
        if let Self::Unix(listener, path) = self {
            drop(listener);
            if let Err(why) = std::fs::remove_file(&path) {
                tracing::debug!(error = %why, path = %path.display(), "the socket is gone already");
            }
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// What every connection of a client may have.
pub(crate) fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().header_read_timeout(None).max_buf_size(HEADERS_LEN_MAX).max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADERS_LEN_MAX as u32)
        .max_concurrent_streams(100);
    builder
}

impl Hall {
    async fn accept(
        self: &Arc<Self>,
        listener: &Listener,
        doorway: &Arc<Doorway>,
        graceful: &GracefulShutdown,
    ) -> io::Result<()> {
        match listener {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                if let Err(why) = stream.set_nodelay(true) {
                    tracing::debug!(error = %why, "no TCP_NODELAY");
                }
                self.connect(stream, Peer::At(address), doorway, graceful);
            }
            Listener::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                self.connect(stream, Peer::Local, doorway, graceful);
            }
        }
        Ok(())
    }

    fn connect<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        self: &Arc<Self>,
        stream: S,
        peer: Peer,
        doorway: &Arc<Doorway>,
        graceful: &GracefulShutdown,
    ) {
        let (hall, doorway) = (Arc::clone(self), Arc::clone(doorway));
        let (stream, leash, patient) = self.patience.watch(stream);
        let service = service_fn(move |request: Request<Incoming>| {
            // The authorise path is answered here, before the router and without waiting for anything but what it is asked
            // to wait for; over gRPC, for the message.
            let next = match doorway.way(request.uri().path()) {
                Some(Way::EnvoyGrpc) => Next::Later(Box::pin(envoy_grpc::answer(
                    Arc::clone(&hall.front),
                    request,
                    peer,
                    Arc::clone(&doorway),
                ))),
                Some(way) => match hall.catching_up(&request, peer, &doorway) {
                    None => Next::Answered(ways::answer(&hall.front, way, &request, peer, &doorway)),
                    Some(caught_up) => {
                        let (hall, doorway) = (Arc::clone(&hall), Arc::clone(&doorway));
                        Next::Later(Box::pin(async move {
                            caught_up.await;
                            ways::answer(&hall.front, way, &request, peer, &doorway)
                        }))
                    }
                },
                None if !doorway.api && !doorway.admin => Next::Answered(ways::nothing_here()),
                None => {
                    let client = hall.client(&request, peer, &doorway);
                    Next::Route(hall.router(&doorway), (client, patient.clone()), request)
                }
            };
            async move {
                match next {
                    Next::Answered(response) => Ok::<_, Infallible>(response),
                    Next::Later(answering) => Ok(answering.await),
                    Next::Route(mut router, (client, patient), request) => {
                        let mut request = request.map(Body::new);
                        request.extensions_mut().insert(client);
                        request.extensions_mut().insert(patient);
                        router.call(request).await
                    }
                }
            }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        let task = tokio::spawn(async move {
            if let Err(why) = connection.await {
                tracing::debug!(error = %why, "a connection ended early");
            }
        });
        leash.hold(task.abort_handle());
    }

    /// What a question waits for, of somebody who may ask it.
    fn catching_up(
        &self,
        request: &Request<Incoming>,
        peer: Peer,
        doorway: &Doorway,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        self.front.catching_up(request.headers()).filter(|_| doorway.trusts(peer))
    }

    fn router(&self, doorway: &Doorway) -> Router {
        if doorway.admin { self.admin.clone() } else { self.router.clone() }
    }

    fn tell_metrics(&self, doorway: &Doorway) {
        let ways = doorway.ways.iter().map(|way| Protocol::Way(*way));
        ways.chain(doorway.api.then_some(Protocol::Api)).for_each(|door| self.front.metrics.serves(door));
    }

    /// Who asks of Keygate's own API: whoever has connected, or whom a proxy of ours names.
    fn client(&self, request: &Request<Incoming>, peer: Peer, doorway: &Doorway) -> ClientIp {
        ClientIp(if doorway.trusts(peer) {
            ways::client_behind(request.headers(), peer, doorway)
        } else {
            peer.ip()
        })
    }
}

/// Done when the process is told to stop: by SIGTERM, or by Ctrl-C.
///
/// # Errors
/// If the signals cannot be listened to.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        systemd::stopping();
    })
}
