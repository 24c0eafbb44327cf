//! Health and counters. None of them asks for a credential, and none tells more than that.

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

use super::{Ap, Reply};
use crate::{door::ClientIp, error::Problem};

/// Whether the process lives.
pub(crate) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Whether it can decide and write: the replica is loaded, the database answers.
pub(crate) async fn ready(State(app): Ap) -> Reply<(StatusCode, Json<Value>)> {
    let (replica, storage) = (app.gate.is_open(), app.authority.ping().await.is_ok());
    let status = if replica && storage { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |fine| if fine { "ok" } else { "failed" };
    let body = json!({
        "status": word(replica && storage),
        "replica": word(replica),
        "storage": word(storage),
        "position": app.gate.position().0,
    });
    Ok((status, Json(body)))
}

/// The counters, for whoever stands on this machine.
pub(crate) async fn metrics(State(app): Ap, Extension(client): Extension<ClientIp>) -> Reply<String> {
    if !client.0.is_some_and(|ip| ip.to_canonical().is_loopback()) {
        return Err(Problem::missing("endpoint", "metrics"));
    }
    Ok(app.metrics.text(&app.gate, app.stranded.count()))
}
