//! One request and its answer.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    http::{
        HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, request::Parts,
        uri::Authority,
    },
    response::IntoResponse as _,
};
use hyper::{
    body::{Body as _, Incoming},
    upgrade::OnUpgrade,
};

use super::{
    Guard, Shared,
    body::{Answer, Download, Gate, Upload},
    headers::{self, Asked, Witness},
    pool::{Failed, Lease},
    stream::{Link, Visit},
    tunnel, wait,
};
use crate::error::Problem;

/// A client's connection, as its requests see it.
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    pub(super) link: Arc<Link>,
    is_trusted: bool,
    witness: Mutex<Witness>,
}

/// Seconds that an upstream may take to say that it wants a body. One that says nothing is sent it then.
const CONTINUE_SECONDS: u32 = 1;

impl Client {
    pub(super) fn new(peer: SocketAddr, link: Arc<Link>, shared: &Shared<impl Guard>) -> Self {
        let is_trusted = shared.proxy.trusted.as_ref().is_some_and(|list| list.admit(Some(peer.ip())));
        Self { peer, link, is_trusted, witness: Mutex::new(Witness::new(peer.ip())) }
    }

    fn ip(&self, parts: &Parts, shared: &Shared<impl Guard>) -> IpAddr {
        match self.is_trusted {
            true => headers::client_ip(self.peer.ip(), parts, shared.proxy.trusted.as_ref()),
            false => self.peer.ip(),
        }
    }
}

/// Answers a request: the upstream's answer, or why there is none.
pub(super) async fn answer<G: Guard>(
    shared: Arc<Shared<G>>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Response<Answer> {
    let visit = client.link.visit();
    match forward(&shared, &client, request, visit).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.map(Answer::Own),
    }
}

async fn forward<G: Guard>(
    shared: &Arc<Shared<G>>,
    client: &Client,
    request: Request<Incoming>,
    visit: Visit,
) -> Result<Response<Answer>, Response<axum::body::Body>> {
    let (mut parts, body) = request.into_parts();
    target(&mut parts).map_err(refused)?;
    let asked = headers::scrub(&mut parts.headers, client.is_trusted, &shared.proxy.reserved);
    let from = SocketAddr::new(client.ip(&parts, shared), client.peer.port());
    if let Some(pause) = shared.proxy.pause.as_ref().and_then(|pause| pause(&parts.headers)) {
        pause.await;
    }
    (shared.guard)(&mut parts, from).map_err(|refusal| *refusal)?;
    let ours = prepare(&mut parts, asked, shared, client);
    let gate = (!body.is_end_stream()).then(|| Gate::new(parts.headers.contains_key(header::EXPECT)));
    let request = with_body(parts, body, gate.as_ref(), client, shared);
    let (answer, lease) = shared.pool.send(request).await.map_err(failed)?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return tunnel::open(answer, ours, lease, client, shared).map_err(refused);
    }
    pass(answer, lease, visit, gate, shared.proxy.timeouts.idle_seconds).map_err(refused)
}

/// Brings the target to what is asked of an origin: a path, and one host that both sides read alike.
fn target(parts: &mut Parts) -> Result<(), Problem> {
    let bad = |why| Err(Problem::bad_request("request_target_invalid", why));
    let is_2 = parts.version == Version::HTTP_2;
    if parts.method == Method::CONNECT {
        return bad("This is no proxy to other places: CONNECT is refused");
    }
    if !is_2 && parts.uri.authority().is_some() {
        return bad("Write the path alone in the request line, and the host in Host");
    }
    let path = parts.uri.path_and_query().filter(|path| path.as_str().starts_with('/'));
    let Some(path) = path.cloned() else {
        return bad("A path begins with /");
    };
    host(parts, is_2)?;
    if is_2 {
        parts.headers.remove(header::EXPECT);
        join_cookies(&mut parts.headers);
        parts.uri = Uri::from(path);
    }
    parts.version = Version::HTTP_11;
    Ok(())
}

fn host(parts: &mut Parts, is_2: bool) -> Result<(), Problem> {
    let bad = |why| Err(Problem::bad_request("host_invalid", why));
    let mut named = parts.headers.get_all(header::HOST).into_iter();
    let (first, second) = (named.next(), named.next());
    if second.is_some() {
        return bad("Send one Host");
    }
    let is_host = |host: &HeaderValue| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]~%".contains(byte);
        host.as_bytes().iter().all(plain) && Authority::try_from(host.as_bytes()).is_ok()
    };
    match (first, parts.uri.authority()) {
        (Some(host), Some(authority)) if host.as_bytes() != authority.as_str().as_bytes() => {
            bad("Host and :authority differ")
        }
        (Some(host), _) if !is_host(host) => bad("Host is no host"),
        (Some(_), _) => Ok(()),
        (None, Some(authority)) => match HeaderValue::from_str(authority.as_str()) {
            Ok(host) if is_host(&host) => {
                parts.headers.insert(header::HOST, host);
                Ok(())
            }
            _ => bad(":authority is no host"),
        },
        (None, None) if !is_2 && parts.version == Version::HTTP_10 => Ok(()),
        (None, None) => bad("Send a Host"),
    }
}

/// HTTP/2 splits cookies, HTTP/1.1 may not (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let all: Vec<_> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if all.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&all.join(b"; ".as_slice()))
    {
        headers.insert(header::COOKIE, joined);
    }
}

/// Says what has been seen, and asks the upstream for what the client asked for. The client's end of a tunnel, if it
/// wants one.
fn prepare<G: Guard>(
    parts: &mut Parts,
    asked: Asked,
    shared: &Shared<G>,
    client: &Client,
) -> Option<OnUpgrade> {
    let headers = &mut parts.headers;
    client.witness.lock().unwrap_or_else(PoisonError::into_inner).sign(headers, shared.proxy.via);
    if !shared.proxy.preserve_host || !headers.contains_key(header::HOST) {
        headers.insert(header::HOST, shared.pool.authority().clone());
    }
    let mut connection = Vec::new();
    if asked.trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        connection.push("te");
    }
    let ours = parts.extensions.remove::<OnUpgrade>().filter(|_| asked.websocket);
    if ours.is_some() {
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        connection.push("upgrade");
    }
    if let Ok(connection) = HeaderValue::try_from(connection.join(", "))
        && !connection.is_empty()
    {
        headers.insert(header::CONNECTION, connection);
    }
    ours
}

fn with_body<G: Guard>(
    mut parts: Parts,
    body: Incoming,
    gate: Option<&Arc<Gate>>,
    client: &Client,
    shared: &Shared<G>,
) -> Request<Upload> {
    let Some(gate) = gate else { return Request::from_parts(parts, Upload::none()) };
    if body.size_hint().exact().is_none() {
        // Said outright: of a GET, hyper would otherwise send no body.
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let waits = parts.headers.contains_key(header::EXPECT);
    let upload = Upload::new(body, Arc::clone(&client.link), Arc::clone(gate), shared.proxy.timeouts);
    let mut request = Request::from_parts(parts, upload);
    if waits {
        let (told, late) = (Arc::clone(gate), Arc::clone(gate));
        hyper::ext::on_informational(&mut request, move |interim| {
            if interim.status() == StatusCode::CONTINUE {
                told.open();
            }
        });
        tokio::spawn(async move {
            wait::seconds(CONTINUE_SECONDS).await;
            late.open();
        });
    }
    request
}

/// Passes an answer on. One whose end two could read differently is none.
fn pass(
    answer: Response<Incoming>,
    lease: Lease,
    visit: Visit,
    gate: Option<Arc<Gate>>,
    idle_seconds: u32,
) -> Result<Response<Answer>, Problem> {
    let (mut parts, body) = answer.into_parts();
    let headers = &mut parts.headers;
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let codings = headers.get_all(header::TRANSFER_ENCODING).iter().count();
    let is_chunked = headers
        .get(header::TRANSFER_ENCODING)
        .is_none_or(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
    if lengths + codings > 1 || !is_chunked {
        tracing::warn!("the upstream's answer says twice or wrongly how its body ends");
        return Err(Problem::upstream_malformed());
    }
    headers::scrub_answer(headers);
    parts.version = Version::HTTP_11;
    let body = Download::new(body, lease, visit, gate, idle_seconds);
    Ok(Response::from_parts(parts, Answer::Through(body)))
}

fn refused(problem: Problem) -> Response<axum::body::Body> {
    problem.into_response()
}

fn failed(why: Failed) -> Response<axum::body::Body> {
    let problem = match why {
        Failed::Unreachable(why) => {
            tracing::warn!(error = %why, "the upstream cannot be reached");
            Problem::upstream_unreachable()
        }
        Failed::Late => {
            tracing::warn!("the upstream took too long");
            Problem::upstream_timeout()
        }
        Failed::Broken(why) => {
            tracing::warn!(error = %why, "the upstream gave no answer");
            Problem::upstream_malformed()
        }
    };
    problem.into_response()
}
