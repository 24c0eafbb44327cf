//! A WebSocket: once the upstream has said 101, bytes both ways, until both ends are done or nothing moves any more.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use axum::http::{HeaderValue, Response, header};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::{io::copy_bidirectional_with_sizes, sync::watch};

use super::{Guard, Shared, body::Answer, exchange::Client, headers, pool::Lease};
use crate::error::Problem;

/// Bytes that may wait in each direction.
const BUFFER_LEN: usize = 16 * 1024;

/// Answers 101 and opens the tunnel, if the client has asked for it and the upstream speaks of the same.
pub(super) fn open<G: Guard>(
    mut answer: Response<Incoming>,
    ours: Option<OnUpgrade>,
    lease: Lease,
    client: &Client,
    shared: &Shared<G>,
) -> Result<Response<Answer>, Problem> {
    let is_websocket = headers::has_option(answer.headers(), &header::UPGRADE, "websocket");
    let Some(ours) = ours.filter(|_| is_websocket) else {
        tracing::warn!("the upstream switched to a protocol that nobody asked for");
        return Err(Problem::upstream_malformed());
    };
    let theirs = hyper::upgrade::on(&mut answer);
    let link = Arc::clone(&client.link);
    lease.wait().rest();
    link.is_tunnel.store(true, Relaxed);
    link.wait.turn(shared.proxy.timeouts.tunnel_seconds);
    let open = shared.tunnels.subscribe();
    let task = tokio::spawn(async move { pump(ours, theirs, lease, open).await });
    link.wait.hold(task.abort_handle());
    let (mut parts, _) = answer.into_parts();
    headers::scrub_answer(&mut parts.headers);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    Ok(Response::from_parts(parts, Answer::Own(axum::body::Body::empty())))
}

async fn pump(ours: OnUpgrade, theirs: OnUpgrade, lease: Lease, open: watch::Receiver<()>) {
    let upgraded: Result<(Upgraded, Upgraded), hyper::Error> =
        async { Ok((ours.await?, theirs.await?)) }.await;
    let done = match upgraded {
        Ok((client, upstream)) => {
            let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER_LEN, BUFFER_LEN).await.map(drop)
        }
        Err(why) => Err(std::io::Error::other(why)),
    };
    if let Err(why) = done {
        tracing::debug!(error = %why, "a tunnel broke off");
    }
    drop((lease, open));
}
