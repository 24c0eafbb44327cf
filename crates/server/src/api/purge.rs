//! The purge API (CONTRACT §15): what a purge-only token is for.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use keygate_authority::service;
use keygate_model::{Action, Timestamp};
use keygate_purge::{Domain, Key, Keys, Mode, Node, Report, Target, Url, What};
use serde_json::{Value, json};

use super::{Ap, Reply};
use crate::{app::App, body, caller::Caller, error::Problem};

/// Purges one surrogate key.
pub(crate) async fn key(
    State(app): Ap,
    caller: Caller,
    headers: HeaderMap,
    Path((_, key)): Path<(String, String)>,
) -> Reply<Response> {
    let key = Key::parse(&key).map_err(|why| Problem::bad_request("key_invalid", why.to_string()))?;
    let service = app.authority.service(&caller.permit).await?;
    let nodes = run(&app, &service, &What::Keys(key.into(), mode(&headers)), &caller).await?;
    let id = Ticket::new(caller.origin.now).id(None);
    let body = format!(r#"{{ "status": "ok", "id": "{id}" }}"#);
    Ok(purged(nodes, 1, body, Some("application/json")))
}

/// Purges the surrogate keys of a header or a JSON body.
pub(crate) async fn keys(State(app): Ap, caller: Caller, request: Request) -> Reply<Response> {
    let headers = request.headers().clone();
    let keys = surrogate_keys(&headers, &body::collect(&app, request).await?)?;
    let service = app.authority.service(&caller.permit).await?;
    let nodes = run(&app, &service, &What::Keys(keys.clone(), mode(&headers)), &caller).await?;
    let ticket = Ticket::new(caller.origin.now);
    let member =
        |(nth, key): (usize, &Key)| format!("{}: {:?}", Value::from(key.as_str()), ticket.id(Some(nth + 1)));
    let members: Vec<_> = keys.iter().enumerate().map(member).collect();
    // Recorded without a content type.
    Ok(purged(nodes, members.len(), format!("{{ {} }}", members.join(", ")), None))
}

/// Purges everything of a service. There is no soft way.
pub(crate) async fn all(State(app): Ap, caller: Caller, headers: HeaderMap) -> Reply<Response> {
    if mode(&headers) == Mode::Soft {
        return Err(Problem::bad_request("soft_purge_all", "Everything can only be purged hard"));
    }
    let service = app.authority.note_purge_all(&caller.permit, &caller.origin).await?;
    run(&app, &service, &What::All, &caller).await?;
    Ok(Json(json!({ "status": "ok" })).into_response())
}

/// Purges one URL, `POST /purge/http://host/path?query`, taken as it stands.
pub(crate) async fn url(
    State(app): Ap,
    caller: Caller,
    headers: HeaderMap,
    uri: axum::http::Uri,
) -> Reply<Response> {
    let raw = uri.path_and_query().map_or("", |all| all.as_str());
    let url = Url::parse(raw.strip_prefix("/purge/").unwrap_or_default())
        .map_err(|why| Problem::bad_request("url_invalid", why.to_string()))?;
    let no_service =
        || Problem::new(StatusCode::NOT_FOUND, "not_found", "Record not found").detail("Cannot find service");
    let found = app.authority.service_at(&caller.permit, url.domain.as_str()).await?;
    let permit = caller.may(&app, Action::PURGE_URL, Some(found.ok_or_else(no_service)?))?;
    let service = app.authority.service(&permit).await?;
    let nodes = run(&app, &service, &What::Url(url, mode(&headers)), &caller).await?;
    let id = Ticket::new(caller.origin.now).id(None);
    Ok(purged(nodes, 0, json!({ "status": "ok", "id": id }).to_string(), Some("application/json")))
}

/// Purges at every node of the service. One that does not answer is named in the log and in the answer, which then is
/// no success. Returns how many nodes there are.
async fn run(app: &App, service: &service::Row, what: &What, caller: &Caller) -> Result<usize, Problem> {
    let Some(target) = target(service)? else {
        tracing::warn!(service = %service.id, "purged nothing: this service has no cache nodes or no domains");
        return Ok(0);
    };
    let report = app.purger.purge(&target, what).await;
    let failed: Vec<_> = report.failed().map(|(node, miss)| format!("{node}: {miss}")).collect();
    if failed.is_empty() {
        return Ok(report.outcomes.len());
    }
    for miss in &failed {
        app.metrics.purge_missed();
        tracing::error!(service = %service.id, request_id = caller.origin.request_id, miss, "a cache node was not purged");
    }
    Err(incomplete(&report, &failed))
}

fn incomplete(report: &Report, failed: &[String]) -> Problem {
    let nodes = report.outcomes.len();
    let detail = format!(
        "{} of {nodes} cache nodes purged; not purged: {}. Purging again is safe",
        nodes - failed.len(),
        failed.join("; ")
    );
    Problem::new(StatusCode::BAD_GATEWAY, "purge_incomplete", "Purge incomplete").detail(detail)
}

/// Where a service is cached. None if it names no domain or no node.
fn target(service: &service::Row) -> Result<Option<Target>, Problem> {
    let odd = |why: String| {
        tracing::error!(service = %service.id, why, "a stored domain or node cannot be read");
        Problem::bad_request("service_invalid", why)
    };
    if service.domains.is_empty() || service.nodes.is_empty() {
        return Ok(None);
    }
    let domains: Result<_, _> = service.domains.iter().map(|domain| Domain::parse(domain)).collect();
    let nodes: Result<_, _> = service.nodes.iter().map(|node| Node::parse(node)).collect();
    let (domains, nodes) =
        (domains.map_err(|why| odd(why.to_string()))?, nodes.map_err(|why| odd(why.to_string()))?);
    Target::new(domains, nodes).map(Some).map_err(|why| odd(why.to_string()))
}

fn mode(headers: &HeaderMap) -> Mode {
    let soft = headers.get("fastly-soft-purge").is_some_and(|value| value.as_bytes() == b"1");
    if soft { Mode::Soft } else { Mode::Hard }
}

fn surrogate_keys(headers: &HeaderMap, body: &[u8]) -> Result<Keys, Problem> {
    let invalid = |why: String| Problem::bad_request("key_invalid", why);
    if let Some(value) = headers.get("surrogate-key") {
        let value =
            value.to_str().map_err(|_| invalid("Surrogate-Key holds other bytes than ASCII".to_owned()))?;
        return Keys::from_header(value).map_err(|why| invalid(why.to_string()));
    }
    let missing =
        || invalid(r#"Name the keys: Surrogate-Key: a b, or {"surrogate_keys":["a","b"]}"#.to_owned());
    let body: Value = serde_json::from_slice(body).map_err(|_| missing())?;
    let names = body.get("surrogate_keys").and_then(Value::as_array).ok_or_else(missing)?;
    let key = |name: &Value| match name.as_str() {
        Some(name) => Key::parse(name).map_err(|why| invalid(why.to_string())),
        None => Err(missing()),
    };
    let keys: Vec<_> = names.iter().map(key).collect::<Result<_, _>>()?;
    Keys::new(keys).map_err(|why| invalid(why.to_string()))
}

/// The answer of a purge that reached every node.
fn purged(nodes: usize, keys: usize, body: String, kind: Option<&'static str>) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if let Some(kind) = kind {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if keys > 0 {
        headers.insert("fastly-surrogate-key-count", HeaderValue::from(keys));
    }
    headers.insert("keygate-cache-nodes", HeaderValue::from(nodes));
    response
}

/// The id of a purge, in the recorded shape: process, second, number.
struct Ticket(String);

impl Ticket {
    fn new(now: Timestamp) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(format!("{}-{}-{number}", std::process::id(), now.seconds()))
    }

    fn id(&self, nth: Option<usize>) -> String {
        nth.map_or_else(|| self.0.clone(), |nth| format!("{}-{nth}", self.0))
    }
}
