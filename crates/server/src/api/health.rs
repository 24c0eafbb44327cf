//! Health and counters. None of them asks for a credential, and none tells more than that.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use super::{Ap, Reply};
use crate::{
    app::App,
    door::ClientIp,
    error::Problem,
    metrics::{Format, page::page},
    readiness::Readiness,
};

/// What a listener for those who watch serves: the same without Keygate's API, and more of it.
pub(crate) fn admin_router(app: Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(node_lives))
        .route("/readyz", get(ready_in_detail))
        .route("/healthz", get(ready_in_detail))
        .route("/metrics", get(counters))
        .with_state(app)
}

/// Whether the process lives: a gate.
pub(crate) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The same of a node: one that can change nothing any more is to be started anew.
pub(crate) async fn node_lives(State(app): Ap) -> (StatusCode, Json<Value>) {
    if app.authority.has_writer() {
        (StatusCode::OK, live().await)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "fail" })))
    }
}

/// Whether it should be asked.
pub(crate) async fn ready(State(app): Ap) -> (StatusCode, Json<Value>) {
    told(&Readiness::of(&app).await, false)
}

/// The same, and with `?verbose` what was seen.
async fn ready_in_detail(State(app): Ap, RawQuery(query): RawQuery) -> (StatusCode, Json<Value>) {
    let verbose =
        form_urlencoded::parse(query.unwrap_or_default().as_bytes()).any(|(name, _)| name == "verbose");
    told(&Readiness::of(&app).await, verbose)
}

pub(crate) fn told(readiness: &Readiness, verbose: bool) -> (StatusCode, Json<Value>) {
    let status = if readiness.passes() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness.body(verbose)))
}

/// The counters, for whoever stands on this machine.
pub(crate) async fn metrics(
    State(app): Ap,
    Extension(client): Extension<ClientIp>,
    headers: HeaderMap,
) -> Reply<Response> {
    if !client.0.is_some_and(|ip| ip.to_canonical().is_loopback()) {
        return Err(Problem::missing("endpoint", "metrics"));
    }
    Ok(counters(State(app), headers).await)
}

async fn counters(State(app): Ap, headers: HeaderMap) -> Response {
    let format = Format::wanted(&headers);
    let text = page(&app, &Readiness::of(&app).await, format);
    ([(header::CONTENT_TYPE, format.content_type())], text).into_response()
}
