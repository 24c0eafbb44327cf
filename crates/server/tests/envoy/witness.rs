//! Stands between Envoy and Keygate, passes everything on as it is, and notes what was asked.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::body::Body;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, Uri, body::Bytes, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use prost::Message as _;
use tokio::net::TcpListener;

use crate::edge::Kind;

/// What Keygate decided about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) target: String,
}

/// The witness.
pub(crate) struct Witness {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Witness {
    pub(crate) async fn new(kind: Kind, gate: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let mut client = Client::builder(TokioExecutor::new());
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = client.http2_only(kind == Kind::Grpc).build(connector);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("TCP_NODELAY");
                let (noted, client) = (Arc::clone(&noted), client.clone());
                let service =
                    service_fn(move |request| pass(request, gate, client.clone(), Arc::clone(&noted)));
                tokio::spawn(async move {
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, asked }
    }

    /// What was asked since this was last called.
    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().expect("the notes"))
    }
}

async fn pass(
    request: Request<hyper::body::Incoming>,
    gate: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    noted: Arc<Mutex<Vec<Asked>>>,
) -> Result<Response<Body>, Infallible> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.expect("a whole message").to_bytes();
    noted.lock().expect("the notes").push(match parts.uri.path().strip_prefix("/authz/envoy") {
        Some(_) => Asked {
            method: parts.method.to_string(),
            host: parts.headers["host"].to_str().expect("a name").to_owned(),
            target: parts.uri.to_string()["/authz/envoy".len()..].to_owned(),
        },
        None => read(&body),
    });
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    parts.uri = Uri::try_from(format!("http://{gate}{target}")).expect("a URL");
    let answered = client.request(Request::from_parts(parts, Full::new(body))).await;
    Ok(answered.map(|response| response.map(Body::new)).unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }))
}

fn read(message: &[u8]) -> Asked {
    let check = CheckRequest::decode(&message[5..]).expect("a check");
    let http =
        check.attributes.and_then(|all| all.request).and_then(|request| request.http).expect("a request");
    Asked { method: http.method, host: http.host, target: http.path }
}
