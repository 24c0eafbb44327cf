//! Sends purges: all nodes at once, each with its own deadline.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Response, StatusCode};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::order::{Order, orders};
use crate::{Miss, Node, Outcome, Report, Target, What};

const DEADLINE_DEFAULT: Duration = Duration::from_secs(2);

/// Shorter than the 5 s after which Varnish closes an idle connection, so that none is used in that moment.
const IDLE_MAX: Duration = Duration::from_secs(2);
const IDLE_CONNECTIONS_MAX: usize = 8;

const PURGED: &str = "keygate-purged";

/// Sends purges over plain HTTP/1.1. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Purger {
    client: Client<HttpConnector, Empty<Bytes>>,
    deadline: Duration,
}

impl Purger {
    /// `deadline` is what one node gets for the whole of a purge. Half of it may go into connecting, so that a node
    /// that is away reads differently from one that is slow.
    pub fn new(deadline: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(deadline / 2));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector);
        Self { client, deadline }
    }

    /// Purges at every node of the target and waits for all of them, at most the deadline. A node that failed may have
    /// done part of it; a purge can be repeated without harm.
    pub async fn purge(&self, target: &Target, what: &What) -> Report {
        let orders = orders(target, what);
        let outcomes = target.nodes().iter().map(|node| self.purge_node(node, &orders));
        Report { outcomes: join_all(outcomes).await }
    }

    async fn purge_node(&self, node: &Node, orders: &[Order]) -> Outcome {
        let result = timeout(self.deadline, self.send_all(node, orders)).await;
        Outcome { node: node.clone(), result: result.unwrap_or(Err(Miss::Late(self.deadline))) }
    }

    async fn send_all(&self, node: &Node, orders: &[Order]) -> Result<Option<u64>, Miss> {
        let mut total = Some(0u64);
        for order in orders {
            let answer = self.client.request(order.to_request(node)).await;
            let count = read(&answer.map_err(miss)?)?;
            total = total.zip(count).map(|(sum, more)| sum.saturating_add(more));
        }
        Ok(total)
    }
}

impl Default for Purger {
    fn default() -> Self {
        Self::new(DEADLINE_DEFAULT)
    }
}

/// How many objects the answer says are gone. Its body is for people with curl.
fn read<B>(answer: &Response<B>) -> Result<Option<u64>, Miss> {
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::FORBIDDEN => return Err(Miss::Forbidden),
        status => return Err(Miss::Status(status)),
    }
    match answer.headers().get(PURGED).and_then(|value| value.to_str().ok()) {
        Some("unknown") => Ok(None),
        Some(count) => count.parse().map(Some).map_err(|_| Miss::Stranger),
        None => Err(Miss::Stranger),
    }
}

/// The innermost cause is the one that an owner can act on: "Connection refused", not "client error (Connect)".
fn miss(error: hyper_util::client::legacy::Error) -> Miss {
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match error.is_connect() {
        true => Miss::Unreachable(cause.to_string()),
        false => Miss::Broken(cause.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, purged: Option<&str>) -> Result<Option<u64>, Miss> {
        let builder = Response::builder().status(status);
        let builder = purged.into_iter().fold(builder, |b, value| b.header(PURGED, value));
        read(&builder.body(()).expect("a response"))
    }

    #[test]
    fn only_an_answer_of_keygate_vcl_counts() {
        assert_eq!(answer(200, Some("3")), Ok(Some(3)));
        assert_eq!(answer(200, Some("unknown")), Ok(None));
        assert_eq!(answer(200, Some("-1")), Err(Miss::Stranger));
        assert_eq!(answer(200, None), Err(Miss::Stranger));
        assert_eq!(answer(403, None), Err(Miss::Forbidden));
        assert_eq!(answer(503, Some("3")), Err(Miss::Status(StatusCode::SERVICE_UNAVAILABLE)));
    }
}
