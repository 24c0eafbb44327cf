//! The connection to a node: one with HTTP/2 for everything, or one with HTTP/1.1 for the feed and another for the lease.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use keygate_model::{Digest, Position, Span, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, task::AbortHandle};

use super::{Source, Why};

/// How much may be on its way: a snapshot should not wait for words from here.
const WINDOW_LEN: u32 = 4 * 1024 * 1024;

/// How long an answer that is no feed may be.
const ANSWER_LEN_MAX: usize = 64 * 1024;

/// A connection to a node.
pub(super) struct Line {
    source: Source,
    sender: Mutex<Sender>,
    /// Where the lease goes if the feed keeps its connection to itself.
    second: Mutex<Option<Sender>>,
}

enum Sender {
    H1 { sender: http1::SendRequest<Full<Bytes>>, _moving: Moving },
    H2 { sender: http2::SendRequest<Full<Bytes>>, _moving: Moving },
}

/// What moves the bytes. Dropped, it ends.
struct Moving(AbortHandle);

impl Drop for Moving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The feed as it comes in.
pub(super) struct Stream(Incoming);

/// What is asked when the lease is renewed.
#[derive(Serialize)]
pub(super) struct Renewal<'a> {
    pub(super) session: String,
    pub(super) name: &'a str,
    pub(super) nonce: String,
    pub(super) epoch: u64,
    pub(super) applied: i64,
    /// What the gate decides about the canary that it was asked about, and about which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) canary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) canary_allowed: Option<bool>,
}

/// What is answered.
pub(super) struct Answered {
    /// Where the record was.
    pub(super) position: Position,
    /// What is granted.
    pub(super) granted: Span,
    /// A canary that the node wants to hear of.
    pub(super) canary: Option<Digest>,
    /// How late it is there. Older nodes do not say it.
    pub(super) time: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Answer {
    nonce: String,
    position: i64,
    granted_milliseconds: u64,
    canary: Option<String>,
    /// Older nodes do not say it.
    time_microseconds: Option<i64>,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
}

impl Line {
    /// Connects.
    pub(super) async fn to(source: &Source) -> Result<Self, Why> {
        let sender = Mutex::new(Sender::to(source).await?);
        Ok(Self { source: source.clone(), sender, second: Mutex::default() })
    }

    /// Asks for the feed.
    pub(super) async fn feed(&self, token: &str, path: &str) -> Result<Stream, Why> {
        let request = self.request(Method::GET, path, token, Bytes::new())?;
        let response = self.sender.lock().await.send(request).await?;
        if response.status() == StatusCode::OK {
            Ok(Stream(response.into_body()))
        } else {
            Err(refused(response).await)
        }
    }

    /// Renews the lease: what is answered, if it is the answer to this.
    pub(super) async fn renew(&self, token: &str, renewal: &Renewal<'_>) -> Result<Answered, Why> {
        let body = serde_json::to_vec(renewal).map_err(|_| Why::Unexpected)?;
        let request = self.request(Method::POST, "/feed/lease", token, body.into())?;
        let response = self.send_beside(request).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(response).await);
        }
        let answer: Answer = serde_json::from_slice(&read(response).await?).map_err(|_| Why::Unexpected)?;
        let granted = Span::of(Duration::from_millis(answer.granted_milliseconds)).ok_or(Why::Unexpected)?;
        if answer.nonce == renewal.nonce {
            let digest = answer.canary.and_then(|text| data_encoding::HEXLOWER.decode(text.as_bytes()).ok());
            let canary = digest.and_then(|digest| digest.try_into().ok()).map(Digest::from_bytes);
            let time = answer.time_microseconds.map(Timestamp::from_micros);
            Ok(Answered { position: Position(answer.position), granted, canary, time })
        } else {
            Err(Why::Unexpected)
        }
    }

    /// Sends a request beside the feed.
    async fn send_beside(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Why> {
        {
            let mut sender = self.sender.lock().await;
            if let Sender::H2 { .. } = &*sender {
                return sender.send(request).await;
            }
        }
        let mut second = self.second.lock().await;
        let mut sender = match second.take() {
            Some(sender) => sender,
            None => Sender::to(&self.source).await?,
        };
        let response = sender.send(request).await?;
        *second = Some(sender);
        Ok(response)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Why> {
        let Source { scheme, authority, .. } = &self.source;
        let request = Request::builder()
            .method(method)
            .uri(format!("{scheme}://{authority}{path}"))
            .header(header::HOST, authority)
            .header("fastly-key", token)
            .header(header::USER_AGENT, concat!("keygate-gate/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, "application/json");
        request.body(Full::new(body)).map_err(|_| Why::Unexpected)
    }
}

impl Sender {
    async fn to(source: &Source) -> Result<Self, Why> {
        let (stream, has_h2) = source.connect().await.map_err(Why::Unreachable)?;
        let stream = TokioIo::new(stream);
        if !has_h2 {
            let (sender, connection) = http1::handshake(stream).await?;
            return Ok(Self::H1 { sender, _moving: moving(connection) });
        }
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW_LEN)
            .initial_connection_window_size(WINDOW_LEN)
            .handshake(stream)
            .await?;
        Ok(Self::H2 { sender, _moving: moving(connection) })
    }

    async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Why> {
        match self {
            Self::H1 { sender, .. } => {
                // HTTP/1.1 names the host in a header, and only a proxy is asked with a whole URL.
                let path = request.uri().path_and_query().cloned();
                *request.uri_mut() = path.map_or_else(http::Uri::default, http::Uri::from);
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
            Self::H2 { sender, .. } => {
                request.headers_mut().remove(header::HOST);
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
        }
    }
}

fn moving(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Moving {
    let task = tokio::spawn(async move {
        if let Err(why) = connection.await {
            tracing::debug!(error = %why, "a connection to a node ended early");
        }
    });
    Moving(task.abort_handle())
}

impl Stream {
    /// What comes in next.
    pub(super) async fn more(&mut self) -> Result<Bytes, Why> {
        loop {
            let frame = self.0.frame().await.ok_or_else(|| Why::Ended("without a word".to_owned()))??;
            if let Ok(data) = frame.into_data() {
                return Ok(data);
            }
        }
    }
}

async fn refused(response: Response<Incoming>) -> Why {
    let status = response.status().as_u16();
    let body = read(response).await.unwrap_or_default();
    let code =
        serde_json::from_slice::<Refusal>(&body).map_or_else(|_| "no code".to_owned(), |body| body.code);
    Why::Refused { status, code }
}

async fn read(response: Response<Incoming>) -> Result<Bytes, Why> {
    let body = Limited::new(response.into_body(), ANSWER_LEN_MAX).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|_| Why::Unexpected)
}
