//! The door: finds the one credential of a request, asks the gate, and lets in or answers. Every request of the API
//! comes through here, before any handler.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Version, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use keygate_authority::Origin;
use keygate_gate::{
    Client,
    http::{credential, holds_secret, overrides_method, user_agent},
};
use keygate_model::{
    Action, Actor, Ask, Deny, Digest, Method, Path, Timestamp, Verdict,
    policy::{Access, Unmatched},
    token::{Brand, Presented},
};

use crate::{
    api::well_known::{PROTECTED_RESOURCE, metadata_url},
    app::{App, text_of},
    body,
    caller::Caller,
    edge::Stopwatch,
    error::{Code, Problem},
    metrics::Protocol,
    quota::{Left, Spender},
};

/// Names under which people put secrets into URLs.
const SECRET_PARAMETERS: [&str; 6] =
    ["access_token", "api_key", "apikey", "token", "fastly-key", "fastly_key"];

/// The position up to which a gate must have followed to know what this request has changed.
const POSITION: &str = "keygate-position";

/// The address of whoever asks, put into each request by whoever accepts connections. None: nobody knows.
#[derive(Clone, Copy)]
pub(crate) struct ClientIp(pub(crate) Option<IpAddr>);

/// Stands before every handler.
pub(crate) async fn stand(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let watch = Stopwatch::start();
    let (mut parts, body) = request.into_parts();
    // Before the decision: a body takes its time, and a revoke does not wait for it. And whatever the answer will be: a
    // connection with an unread body is closed behind it, and a client that uses that again finds it gone.
    let body = body::collect(body).await;
    let is_read = body.is_ok();
    let origin = origin(&app, &parts);
    let (method, version) = (parts.method.clone(), parts.version);
    let route = parts.extensions.get::<MatchedPath>().cloned();
    let mut left = None;
    let admitted = admit(&app, &parts, &origin, &mut left).await;
    let mut response = match (admitted, body) {
        (Ok(caller), Ok(body)) => {
            parts.extensions.insert(origin.clone());
            if let Some(caller) = caller {
                let caller = caller.on(parts.extensions.get());
                parts.extensions.insert(caller);
            }
            next.run(Request::from_parts(parts, Body::from(body))).await
        }
        (Err(problem), _) | (Ok(_), Err(problem)) => problem.into_response(),
    };
    if !is_read && version <= Version::HTTP_11 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response = Problem::denied(Deny::NoRoute, &app.gate.policy()).into_response();
    }
    let code = response.extensions().get::<Code>().map(|code| code.0);
    if let Some(code) = code {
        app.metrics.refused(code);
    }
    // The route's pattern, never the path, and no method of the caller's own: people put secrets anywhere.
    tracing::info!(
        request_id = origin.request_id,
        method = if Method::parse(method.as_str()).is_some() { method.as_str() } else { "other" },
        route = route.as_ref().map_or("none", MatchedPath::as_str),
        status = response.status().as_u16(),
        code,
        client = origin.ip,
        ms = watch.elapsed().as_secs_f64() * 1000.0,
        "answered"
    );
    // A handler that has proved a person itself counts for them.
    if let Some(left) = left.or_else(|| response.extensions().get::<Left>().copied()) {
        response.headers_mut().extend(left.headers());
    }
    if let Some(address) = &app.public_url {
        point_to_metadata(response.headers_mut(), address);
    }
    // Who is refused has changed nothing that they need to know of, and learns nothing of what others do.
    if let Some(position) = origin.reached().filter(|_| response.status().is_success()) {
        response.headers_mut().insert(POSITION, HeaderValue::from(position.0));
    }
    finish(response, &origin.request_id)
}

/// Decides. None: the route asks for no credential, and none was shown. Sets what is `left` of the quota if the request
/// counts.
async fn admit(
    app: &App,
    parts: &Parts,
    origin: &Origin,
    left: &mut Option<Left>,
) -> Result<Option<Caller>, Problem> {
    let told = |deny| Problem::denied(deny, &app.gate.policy());
    let refuse = |deny| {
        app.metrics.denied(Protocol::Api, deny);
        told(deny)
    };
    let method = Method::parse(parts.method.as_str()).ok_or_else(|| refuse(Deny::NoRoute))?;
    let path = Path::new(parts.uri.path());
    let policy = app.gate.policy();
    let access = match policy.route(method, &path) {
        Ok(matched) => matched.access,
        Err(Unmatched::NoRoute) => return Err(refuse(Deny::NoRoute)),
        Err(Unmatched::Ambiguous) => return Err(refuse(Deny::AmbiguousPath)),
    };
    if parts.version <= Version::HTTP_11 && parts.uri.scheme().is_some() {
        // An absolute form names another host than `Host` may: which one was meant (SECURITY-BAR B26)?
        return Err(refuse(Deny::AmbiguousPath));
    }
    if overrides_method(&parts.headers) {
        return Err(refuse(Deny::MethodOverride));
    }
    // The query of a URL to purge is a page's, and its names are the site's. A secret of ours may not stand even there.
    let names = if access == Access::Action(Action::PURGE_URL) { &[][..] } else { &SECRET_PARAMETERS };
    if has_secret_in_query(parts.uri.query(), names, &app.brand) {
        tracing::warn!(
            request_id = origin.request_id,
            client = origin.ip,
            "a credential in a URL: exposed, revoke it"
        );
        return Err(refuse(Deny::InUrl));
    }
    let secret = match (credential(&parts.headers), access) {
        (_, Access::Public) | (Err(Deny::Missing | Deny::Scheme), Access::ActionIfAny(_)) => return Ok(None),
        (Err(deny), _) => return Err(refuse(deny)),
        (Ok(secret), _) => {
            let foreign = app.gate.foreign();
            Presented::parse(secret, &app.brand, foreign).map_err(|why| refuse(Deny::Malformed(why)))?
        }
    };
    let at_least = app.front.at_least(&parts.headers).await.map_err(refuse)?;
    let digest = secret.digest();
    let client = Client { ip: client_ip(parts), user_agent: user_agent(&parts.headers, &app.brand) };
    let ask = Ask { host: None, method, path, secret: Ok(secret), at_least };
    let watch = Stopwatch::start();
    let verdict = app.gate.authorize(&ask, client, origin.now);
    app.metrics.took(Protocol::Api, watch.elapsed());
    app.metrics.decided(Protocol::Api, &verdict);
    *left = count(app, access, &digest, &verdict, origin.now)?;
    match verdict {
        Verdict::Allow(permit) => Ok(Some(Caller::new(permit, digest, origin.clone(), client))),
        Verdict::Deny(Deny::Unknown) => Err(explain(app, digest, origin).await),
        Verdict::Deny(Deny::OwnerDisabled) => {
            app.stranded.note(digest, || origin.clone());
            Err(told(Deny::OwnerDisabled))
        }
        Verdict::Deny(Deny::ServiceUnknown) => {
            Err(Problem::missing("service", path.as_str().split('/').nth(2).unwrap_or_default()))
        }
        Verdict::Deny(deny) => Err(told(deny)),
        Verdict::CannotTell(unsure) => Err(Problem::unsure(unsure)),
    }
}

/// Counts a request of somebody known for their quota, whether it is let in or not, if it is one that counts.
fn count(
    app: &App,
    access: Access,
    digest: &Digest,
    verdict: &Verdict,
    now: Timestamp,
) -> Result<Option<Left>, Problem> {
    let (Access::Action(action) | Access::ActionIfAny(action)) = access else { return Ok(None) };
    if !app.gate.policy().is_counted(action) {
        return Ok(None);
    }
    let who = match (verdict, app.gate.actor(digest)) {
        // It acts for nobody any more.
        (Verdict::Deny(Deny::Expired { token, .. }), _) => Spender { token: Some(*token), person: None },
        (Verdict::Allow(_) | Verdict::Deny(_), Some(Actor::Token { token, user, .. })) => {
            Spender { token: Some(token), person: user }
        }
        _ => return Ok(None),
    };
    match app.quota.spend(who, now) {
        // Whoever has spent a leaked token's hour must not keep its owner from revoking it.
        Err(exceeded) if app.gate.policy().is_urgent(action) => Ok(Some(exceeded.left)),
        spent => Ok(Some(spent?)),
    }
}

/// Tells the holder of a revoked token that it was revoked. Refused it is either way; this only finds the words, a few
/// times a second at most, so that a flood of made-up tokens does not reach the database.
async fn explain(app: &App, digest: Digest, origin: &Origin) -> Problem {
    let unknown = || Problem::denied(Deny::Unknown, &app.gate.policy());
    if !app.may_explain(origin.now) {
        return unknown();
    }
    match app.authority.tombstone(digest).await {
        Ok(Some((token, at))) => Problem::revoked(token, at),
        Ok(None) => unknown(),
        Err(fault) => {
            tracing::warn!(error = %fault, "an unknown token could not be looked up");
            unknown()
        }
    }
}

fn has_secret_in_query(query: Option<&str>, names: &[&str], brand: &Brand) -> bool {
    let query = query.unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.any(|(name, _)| names.contains(&&*name.to_ascii_lowercase())) || holds_secret(query, brand)
}

fn origin(app: &App, parts: &Parts) -> Origin {
    // A request id is for matching logs; without entropy the answer will say what is wrong anyway.
    let id = app
        .rng
        .bytes::<10>()
        .map_or_else(|_| "none".to_owned(), |bytes| data_encoding::HEXLOWER.encode(&bytes));
    let ip = client_ip(parts).map_or_else(String::new, text_of);
    Origin::new(app.clock.now(), ip, id)
}

/// The client's address, as far as it is known.
fn client_ip(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ClientIp>().and_then(|client| client.0)
}

/// Tells whoever is asked for a token where it says whose (RFC 9728 §5.1).
fn point_to_metadata(headers: &mut HeaderMap, address: &str) {
    let Some(challenge) = headers.get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let comma = if challenge.contains('=') { "," } else { "" };
    let url = metadata_url(address, PROTECTED_RESOURCE);
    if let Ok(challenge) = HeaderValue::try_from(format!("{challenge}{comma} resource_metadata=\"{url}\"")) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
}

/// The headers that every answer of the API carries (CONTRACT §0.2).
fn finish(mut response: Response, request_id: &str) -> Response {
    let status = response.status();
    let status = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let headers = response.headers_mut();
    let mut default = |name: &'static str, value: &'static str| {
        if !headers.contains_key(name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    default("cache-control", "no-store");
    default("pragma", "no-cache");
    default("strict-transport-security", "max-age=31536000");
    default("vary", "Accept-Encoding");
    default("x-content-type-options", "nosniff");
    for (name, value) in [("status", status.as_str()), ("x-request-id", request_id)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_urls_are_seen() {
        for query in ["api_key=x", "a=1&Access_Token=x", "q=kgu_abc"] {
            assert!(has_secret_in_query(Some(query), &SECRET_PARAMETERS, &Brand::default()), "{query}");
        }
        assert!(!has_secret_in_query(Some("page=1&name=kg"), &SECRET_PARAMETERS, &Brand::default()));
        assert!(!has_secret_in_query(Some("token=x"), &[], &Brand::default()), "a page's own");
        assert!(
            has_secret_in_query(Some("token=kgu_abc"), &[], &Brand::default()),
            "ours, wherever it stands"
        );
    }
}
