//! Metadata documents.

use axum::Json;
use serde_json::{Value, json};

/// What Fastly's command line asks for before anything else, and goes on only if it is JSON. There is no single sign-on
/// here, and the document says so by naming no endpoint.
pub(crate) async fn openid_configuration() -> Json<Value> {
    Json(json!({ "msg": "There is no single sign-on here" }))
}
