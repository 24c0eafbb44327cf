//! Serving: connections, their limits, and a stop that loses nothing.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::net::{TcpListener, TcpStream};
use tower::Service as _;

use crate::{app::App, authz, patience::Patience, router::router};

/// The largest request line and headers, in bytes: the contract's 16 KiB of `Surrogate-Key`, and as much for the rest.
const HEADERS_LEN_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;

/// How long requests may go on after the stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `stop` is done, then lets the requests that have begun end, and writes the marks of use that wait.
pub async fn serve(listener: TcpListener, app: Arc<App>, stop: impl Future<Output = ()>) {
    let router = router(Arc::clone(&app));
    let builder = builder();
    let graceful = GracefulShutdown::new();
    let patience = Patience::default();
    let (flushing, ticking) = (app.keep_flushing(), patience.keep_ticking());
    tokio::pin!(stop, flushing, ticking);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut flushing => continue,
            () = &mut ticking => continue,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => connect(stream, peer, &app, &router, &builder, (&graceful, &patience)),
            Err(why) => {
                tracing::warn!(error = %why, "a connection could not be accepted; out of file descriptors?");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time and are cut");
    }
    app.settle_marks().await;
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

fn connect(
    stream: TcpStream,
    peer: SocketAddr,
    app: &Arc<App>,
    router: &Router,
    builder: &Builder<TokioExecutor>,
    (graceful, patience): (&GracefulShutdown, &Patience),
) {
    if let Err(why) = stream.set_nodelay(true) {
        tracing::debug!(error = %why, "no TCP_NODELAY");
    }
    let (app, router) = (Arc::clone(app), router.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        // The authorise path is answered here, before the router and without waiting for anything.
        let to_be_routed = match request.uri().path() {
            authz::PATH => Err(authz::answer(&app, &request, peer)),
            _ => Ok(router.clone()),
        };
        async move {
            match to_be_routed {
                Err(answered) => Ok::<_, Infallible>(answered),
                Ok(mut router) => {
                    request.extensions_mut().insert(ConnectInfo(peer));
                    router.call(request.map(Body::new)).await
                }
            }
        }
    });
    let (stream, leash) = patience.watch(stream);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    let task = tokio::spawn(async move {
        if let Err(why) = connection.await {
            tracing::debug!(error = %why, "a connection ended early");
        }
    });
    leash.hold(task.abort_handle());
}

/// Done when the process is told to stop: by SIGTERM, or by Ctrl-C.
///
/// # Errors
/// If the signals cannot be listened to.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
