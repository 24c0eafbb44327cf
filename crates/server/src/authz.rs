//! The forward-auth door for nginx's `auth_request` (CONVENTIONS §1): 200, 401 or 403, and never a body, because nginx
//! opens a new connection for every answer that has one.
//!
//! Stands before the router: no await, no lock, no allocation that grows with the number of tokens.

use std::net::SocketAddr;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header},
};
use keygate_authority::Origin;
use keygate_gate::Client;
use keygate_model::{Ask, Deny, Method, Path, Permit, Unsure, Verdict, permit::Actor, token::Presented};

use crate::{
    app::{App, text_of},
    door::{credential, user_agent},
};

/// Where the door is.
pub(crate) const PATH: &str = "/authz/auth-request";

const METHOD: HeaderName = HeaderName::from_static("x-original-method");
const URL: HeaderName = HeaderName::from_static("x-original-url");
const REASON: HeaderName = HeaderName::from_static("x-authz-reason");

/// Answers a sub-request.
pub(crate) fn answer<B>(app: &App, request: &Request<B>, peer: SocketAddr) -> Response<Body> {
    let verdict = decide(app, request.headers(), peer);
    app.metrics.decided(&verdict);
    match verdict {
        Verdict::Allow(permit) => allow(&permit),
        Verdict::Deny(deny) => refuse(status(deny), deny.code()),
        Verdict::CannotTell(unsure) => refuse(StatusCode::SERVICE_UNAVAILABLE, unsure.code()),
    }
}

fn decide(app: &App, headers: &HeaderMap, peer: SocketAddr) -> Verdict {
    let original = |name: HeaderName| headers.get(name).map(|value| std::str::from_utf8(value.as_bytes()));
    let Some((method, url)) = original(METHOD).zip(original(URL)) else {
        // A proxy that does not say what it was asked for cannot be answered (SECURITY-BAR B17).
        return Verdict::CannotTell(Unsure::ProxyMisconfigured);
    };
    // Bytes that are no text come from the client, not from the proxy.
    let (Ok(method), Ok(url)) = (method, url) else { return Verdict::Deny(Deny::AmbiguousPath) };
    let Some(method) = Method::parse(method) else { return Verdict::Deny(Deny::NoRoute) };
    let secret = match credential(headers) {
        Ok(secret) => secret,
        Err(deny) => return Verdict::Deny(deny),
    };
    let secret = match Presented::parse(secret, &app.brand, app.gate.foreign()) {
        Ok(secret) => secret,
        Err(why) => return Verdict::Deny(Deny::Malformed(why)),
    };
    let client = Client { ip: peer.ip(), user_agent: user_agent(headers, &app.brand) };
    let (now, digest) = (app.clock.now(), secret.digest());
    let ask = Ask { method, path: Path::new(path_of(url)), secret };
    let verdict = app.gate.authorize(&ask, client, now);
    if verdict == Verdict::Deny(Deny::OwnerDisabled) {
        let request_id = "forward-auth".to_owned();
        app.stranded.note(digest, || Origin { now, ip: text_of(peer.ip()), request_id });
    }
    verdict
}

/// The path of an absolute URL or of a request target, without its query.
fn path_of(url: &str) -> &str {
    let target = match url.split_once("://") {
        Some((_, rest)) if !url.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => url,
    };
    target.split_once('?').map_or(target, |(path, _)| path)
}

/// The fixed set of identity headers, never empty, so that none of a client's own passes through.
fn allow(permit: &Permit) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let Actor::Token { token, customer, user } = permit.actor() else { return response };
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-auth-token-id", token.to_string());
    set("x-auth-subject", user.map_or_else(|| token.to_string(), |user| user.to_string()));
    set("x-auth-customer-id", customer.to_string());
    headers.insert(
        HeaderName::from_static("x-auth-subject-type"),
        HeaderValue::from_static(if user.is_some() { "user" } else { "automation" }),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refuse(status: StatusCode, code: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(REASON, HeaderValue::from_static(code));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// nginx passes on 401 and 403 and makes a 500 of everything else, so a malformed request is a 403 here.
fn status(deny: Deny) -> StatusCode {
    match deny {
        Deny::Missing
        | Deny::Scheme
        | Deny::Malformed(_)
        | Deny::Unknown
        | Deny::Expired { .. }
        | Deny::OwnerDisabled => StatusCode::UNAUTHORIZED,
        Deny::Multiple
        | Deny::InUrl
        | Deny::Kind
        | Deny::Machine(_)
        | Deny::CustomerSuspended
        | Deny::Network
        | Deny::FactorMissing
        | Deny::Forbidden(_)
        | Deny::ReadOnly(_)
        | Deny::Scope(_)
        | Deny::Role(_)
        | Deny::Account(_)
        | Deny::ServiceUnknown
        | Deny::Service(_)
        | Deny::Permission(..)
        | Deny::Sudo
        | Deny::Interactive
        | Deny::NoRoute
        | Deny::AmbiguousPath
        | Deny::MethodOverride => StatusCode::FORBIDDEN,
    }
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn the_path_is_found_in_both_forms() {
        for (url, path) in [
            ("https://example.com/a/b?c=d", "/a/b"),
            ("https://example.com", "/"),
            ("/a?b=/c", "/a"),
            ("/purge/http://x/y?z", "/purge/http://x/y"),
        ] {
            assert_eq!(path_of(url), path);
        }
    }
}
