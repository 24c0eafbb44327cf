//! What each proxy family is answered. Every answer says `no-store`, because no decision may be kept (SECURITY-BAR T-26).

use std::sync::LazyLock;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
};
use keygate_model::Unsure;

use super::{
    Way,
    identity::Headers,
    question::{Outcome, Refusal},
};
use crate::error::Problem;

const REASON: HeaderName = HeaderName::from_static("x-authz-reason");
const STATUS: HeaderName = HeaderName::from_static("x-authz-status");
const ID: HeaderName = HeaderName::from_static("x-authz-id");
const REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// What of a client's Envoy takes away before the API gets it: credentials, and names that some servers take for one of
/// ours (SECURITY-BAR T-25).
pub(super) const REMOVED: [&str; 15] = [
    "fastly-key",
    "authorization",
    "fastly_key",
    "x_auth_token_id",
    "x_auth_subject",
    "x_auth_subject_type",
    "x_auth_customer_id",
    "x_auth_scopes",
    "x_auth_roles",
    "x_auth_expires",
    "x_request_id",
    "remote_user",
    "x_auth_request_user",
    "x_auth_jwt",
    "x_auth_stale",
];

static REMOVED_LIST: LazyLock<HeaderValue> = LazyLock::new(|| {
    HeaderValue::try_from(REMOVED.join(", ")).unwrap_or(HeaderValue::from_static(REMOVED[0]))
});

/// The answer to a proxy.
pub(super) fn render(way: Way, outcome: Outcome) -> Response<Body> {
    match outcome {
        Outcome::Allow(identity) => allow(way, &identity),
        Outcome::Deny(refusal) => denial(way, refusal).map(Body::from),
        Outcome::CannotTell(why) => unsure(way, why).map(Body::from),
    }
}

/// The body is empty for every family: nginx opens a new connection after each answer that has one (CONVENTIONS §0,
/// rule 7).
fn allow(way: Way, identity: &Headers) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.reserve(16);
    identity.put(headers);
    if way == Way::Envoy {
        headers.insert(REMOVE, REMOVED_LIST.clone());
    }
    uncacheable(&mut response);
    response
}

/// What a refusal is told as.
pub(super) fn denial(way: Way, refusal: Refusal) -> Response<String> {
    let Refusal { code, id, problem } = refusal;
    let mut response = told(way, problem, Some(&id));
    let headers = response.headers_mut();
    headers.insert(REASON, HeaderValue::from_static(code));
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(ID, id);
    }
    response
}

/// What is told where nothing can be.
pub(super) fn unsure(way: Way, why: Unsure) -> Response<String> {
    let mut response = told(way, Problem::unsure(why), None);
    response.headers_mut().insert(REASON, HeaderValue::from_static(why.code()));
    response
}

/// A problem in the words that the family takes: nginx knows 401 and 403 and makes a 500 of everything else, and to it and
/// Caddy a body costs the connection.
fn told(way: Way, problem: Problem, id: Option<&str>) -> Response<String> {
    let status = problem.status;
    let mut response = problem.ahead(id, !matches!(way, Way::Nginx | Way::Caddy | Way::Haproxy));
    response.headers_mut().insert(STATUS, HeaderValue::from(status.as_u16()));
    if way == Way::Nginx && status.is_client_error() && status != StatusCode::UNAUTHORIZED {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    uncacheable(&mut response);
    response
}

fn uncacheable<B>(response: &mut Response<B>) {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("*"));
}
