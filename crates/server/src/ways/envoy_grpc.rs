//! Envoy's `ext_authz` over gRPC (CONVENTIONS §4), which Istio, Envoy Gateway, Contour and the Gateway API speak too; and
//! gRPC's health check beside it.
//!
//! What a route needs is in the policy and nowhere else: `context_extensions`, by which an Envoy's routes can say
//! something of their own, are not read. A second place that says what may pass is one that can say something else.

use std::{
    borrow::Cow,
    future::ready,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header},
};
use bytes::Bytes;
use futures_util::future::{MapOk, TryFutureExt as _};
use hyper::body::Incoming;
use keygate_gate::http::is_method_override;
use keygate_model::Deny;
use prost::Message;
use tonic::{Code, server::Grpc};
use tonic_prost::ProstCodec;
use tower::Service;

/// What any header that asks for another method is to the gate.
const OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

use super::{
    Doorway, Peer, Way,
    answer::{REMOVED, denial, unsure},
    dialect::{self, Client, Odd},
    identity::{Headers, NAMES},
    question::{self, Outcome, Target},
};
use crate::front::Front;

mod messages;

use messages::{
    Address, Allowed, AttributeContext, CheckRequest, CheckResponse, Denied, Field, Header, HeaderOption,
    HealthCheckRequest, HealthCheckResponse, HttpRequest, HttpStatus, Status, Struct,
};

/// Where Envoy asks.
pub(super) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Where it, or Kubernetes, asks whether we can answer.
pub(super) const HEALTH: &str = "/grpc.health.v1.Health/Check";

const SERVICE: &str = "envoy.service.auth.v3.Authorization";
const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;

/// The largest message that is read: the longest headers that Envoy takes by itself are 60 KiB.
const MESSAGE_LEN_MAX: usize = 4 << 20;

/// The headers of a client's that the question is put with.
const WANTED: [HeaderName; 6] = [
    HeaderName::from_static("fastly-key"),
    header::AUTHORIZATION,
    header::USER_AGENT,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("keygate-min-position"),
];

/// What of an identity Envoy's access log and other filters are told, and under which keys.
const METADATA: [(HeaderName, &str); 3] = [
    (HeaderName::from_static("x-auth-token-id"), "token_id"),
    (HeaderName::from_static("x-auth-subject"), "sub"),
    (HeaderName::from_static("x-auth-scopes"), "scopes"),
];

/// Answers Envoy.
pub(crate) async fn answer(
    app: Arc<Front>,
    request: Request<Incoming>,
    peer: Peer,
    doorway: Arc<Doorway>,
) -> Response<Body> {
    // Every answer of gRPC's is a 200, its errors too. Whoever looks at that alone, as every other proxy family does, must
    // not get one.
    let is_grpc = request.version() == Version::HTTP_2
        && request.method() == "POST"
        && request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if !is_grpc {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let is_trusted = doorway.trusts(peer);
    if request.uri().path() == HEALTH {
        return unary(request, |asked: HealthCheckRequest| ready(health(&app, &asked))).await;
    }
    unary(request, |asked: CheckRequest| {
        let (app, doorway) = (Arc::clone(&app), Arc::clone(&doorway));
        async move {
            let outcome = if is_trusted {
                check(&app, &asked, &doorway).await
            } else {
                question::refused(&app, Way::EnvoyGrpc, Deny::UntrustedProxy)
            };
            Ok(response(outcome))
        }
    })
    .await
}

/// Reads the one message, and sends the one that answers it.
async fn unary<Asked, Answered, Answering>(
    request: Request<Incoming>,
    answer: impl FnMut(Asked) -> Answering + Send,
) -> Response<Body>
where
    Answering: Future<Output = Result<Answered, tonic::Status>> + Send,
    Asked: Message + Default + 'static,
    Answered: Message + 'static,
{
    let codec = ProstCodec::<Answered, Asked>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MESSAGE_LEN_MAX);
    grpc.unary(Unary(answer), request).await.map(Body::new)
}

/// A function, as tonic takes it.
struct Unary<F>(F);

impl<F, Asked, Answered, Answering> Service<tonic::Request<Asked>> for Unary<F>
where
    F: FnMut(Asked) -> Answering,
    Answering: Future<Output = Result<Answered, tonic::Status>>,
{
    type Response = tonic::Response<Answered>;
    type Error = tonic::Status;
    type Future = MapOk<Answering, fn(Answered) -> Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), tonic::Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Asked>) -> Self::Future {
        (self.0)(request.into_inner()).map_ok(tonic::Response::new)
    }
}

fn health(app: &Front, asked: &HealthCheckRequest) -> Result<HealthCheckResponse, tonic::Status> {
    if !asked.service.is_empty() && asked.service != SERVICE {
        return Err(tonic::Status::not_found("no such service"));
    }
    Ok(HealthCheckResponse { status: if app.gate.is_ready() { SERVING } else { NOT_SERVING } })
}

/// Asks the gate.
async fn check(app: &Arc<Front>, asked: &CheckRequest, doorway: &Doorway) -> Outcome {
    let read = || {
        let attributes = asked.attributes.as_ref().ok_or(Odd::Misconfigured)?;
        let http = attributes.request.as_ref().and_then(|request| request.http.as_ref());
        let http = http.ok_or(Odd::Misconfigured)?;
        let headers = headers(http)?;
        let client = client(attributes, &headers, doorway)?;
        Ok((target(http, client)?, headers))
    };
    match read() {
        Ok((target, headers)) => {
            if let Some(caught_up) = app.catching_up(&headers) {
                caught_up.await;
            }
            question::answer(app, Way::EnvoyGrpc, &target, &headers)
        }
        Err(odd) => super::unasked(app, Way::EnvoyGrpc, odd),
    }
}

fn target(http: &HttpRequest, client: Option<IpAddr>) -> Result<Target<'_>, Odd> {
    Ok(Target {
        host: text(&http.host, Deny::AmbiguousHost)?,
        method: text(&http.method, Deny::NoRoute)?,
        target: text(&http.path, Deny::AmbiguousPath)?,
        client,
    })
}

/// What Envoy always says.
fn text(bytes: &[u8], unless: Deny) -> Result<&str, Odd> {
    match std::str::from_utf8(bytes) {
        Ok("") => Err(Odd::Misconfigured),
        Ok(text) => Ok(text),
        Err(_) => Err(Odd::Deny(unless)),
    }
}

/// The headers that matter, from wherever Envoy has put them. Two of a kind stay two.
fn headers(http: &HttpRequest) -> Result<HeaderMap, Odd> {
    let conflicting = || Odd::Deny(Deny::ConflictingHeaders);
    let raw = http.header_map.iter().flat_map(|map| &map.headers);
    let mut found = HeaderMap::with_capacity(WANTED.len());
    for Header { key, value, raw_value } in http.headers.iter().chain(raw) {
        let value = match (value.is_empty(), raw_value.is_empty()) {
            (_, true) => value,
            (true, false) => raw_value,
            (false, false) => return Err(conflicting()),
        };
        let name = match key.iter().any(u8::is_ascii_uppercase) {
            true => Cow::Owned(key.to_ascii_lowercase()),
            false => Cow::Borrowed(&key[..]),
        };
        // What is decided about must be what the API gets. Without raw headers Envoy has made `!` of what is no text, here
        // as well as there.
        let decided = match &*name {
            b":path" => Some((&http.path, Deny::AmbiguousPath)),
            b":method" => Some((&http.method, Deny::ConflictingHeaders)),
            b":authority" | b"host" => Some((&http.host, Deny::AmbiguousHost)),
            _ => None,
        };
        if let Some((decided, deny)) = decided {
            if decided != value {
                return Err(Odd::Deny(deny));
            }
            continue;
        }
        let wanted = WANTED.iter().find(|wanted| wanted.as_str().as_bytes() == &*name).cloned();
        let overrides = || std::str::from_utf8(&name).is_ok_and(is_method_override).then_some(OVERRIDE);
        if let Some(wanted) = wanted.or_else(overrides) {
            let value = HeaderValue::from_maybe_shared(value.clone()).map_err(|_| conflicting())?;
            found.append(wanted, value);
        } else if std::str::from_utf8(&name).map_or(true, dialect::is_foreign_to_envoy) {
            return Err(conflicting());
        }
    }
    Ok(found)
}

/// The client's address: whom Envoy takes for it, or whom a proxy of ours in front of Envoy names.
fn client(
    attributes: &AttributeContext,
    headers: &HeaderMap,
    doorway: &Doorway,
) -> Result<Option<IpAddr>, Odd> {
    let address = attributes.source.as_ref().and_then(|source| source.address.as_ref());
    let source = match address.ok_or(Odd::Misconfigured)? {
        Address { socket: Some(socket), .. } => {
            let text = std::str::from_utf8(&socket.address).map_err(|_| Odd::Misconfigured)?;
            // A link's own addresses name the link behind them.
            let bare = text.split('%').next().unwrap_or_default();
            Some(bare.parse::<IpAddr>().map_err(|_| Odd::Misconfigured)?)
        }
        Address { pipe: Some(_), .. } => None,
        _ => return Err(Odd::Misconfigured),
    };
    if source.is_some_and(|ip| !doorway.trusted.admit(Some(ip))) {
        return Ok(source);
    }
    Ok(match dialect::client(headers, doorway) {
        Client::At(ip) => Some(ip),
        Client::Unsaid => source,
        Client::Unreadable => None,
    })
}

fn response(outcome: Outcome) -> CheckResponse {
    match outcome {
        Outcome::Allow(identity) => allowed(&identity),
        Outcome::Deny(refusal) => denied(denial(Way::EnvoyGrpc, refusal)),
        // No `error_response`, which an Envoy with `failure_mode_allow` lets pass.
        Outcome::CannotTell(why) => denied(unsure(Way::EnvoyGrpc, why)),
    }
}

fn allowed(identity: &Headers) -> CheckResponse {
    let (mut headers, mut fields) = (Vec::with_capacity(NAMES.len()), Vec::with_capacity(METADATA.len()));
    for (name, value) in identity.texts() {
        if let Some((_, key)) = METADATA.iter().find(|(header, _)| header == name) {
            fields.push(Field::text(key, value.clone()));
        }
        headers.push(HeaderOption::overwriting(Bytes::from_static(name.as_str().as_bytes()), value));
    }
    let headers_to_remove = REMOVED.map(|name| Bytes::from_static(name.as_bytes())).to_vec();
    CheckResponse {
        status: Some(Status { code: Code::Ok.into() }),
        denied: None,
        ok: Some(Allowed { headers, headers_to_remove }),
        dynamic_metadata: Some(Struct { fields }),
    }
}

fn denied(answer: Response<String>) -> CheckResponse {
    let (parts, body) = answer.into_parts();
    let code = match parts.status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        status if status.is_client_error() => Code::InvalidArgument,
        _ => Code::Unavailable,
    };
    let headers = parts.headers.iter().map(|(name, value)| {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        HeaderOption::overwriting(Bytes::copy_from_slice(name), Bytes::copy_from_slice(value))
    });
    let status = Some(HttpStatus { code: parts.status.as_u16().into() });
    CheckResponse {
        status: Some(Status { code: code.into() }),
        denied: Some(Denied { status, headers: headers.collect(), body }),
        ok: None,
        dynamic_metadata: None,
    }
}

#[cfg(test)]
mod tests;
