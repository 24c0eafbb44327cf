//! `GET /openapi.json`: what this API is, for machines (OpenAPI 3.1).

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};

/// The document. Tests hold it against the router and against what is answered.
pub(crate) const DOCUMENT: &str = include_str!("../../openapi.json");

/// The document.
pub(crate) async fn show() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], DOCUMENT).into_response()
}
