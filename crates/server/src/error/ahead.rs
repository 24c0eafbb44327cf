//! What is answered ahead of a protected API: by the ways in, and by the proxy.

use axum::http::{HeaderValue, StatusCode, header};
use keygate_gate::http::status;
use keygate_model::{Deny, Policy};
use serde_json::{Map, Value};

use super::{NOT_AUTHORIZED, Problem};

impl Problem {
    /// What a refusal answers ahead of a protected API, where another host's routes are meant than Keygate's own.
    pub(crate) fn denied_ahead(deny: Deny, policy: &Policy) -> Self {
        let forbidden = |detail: &str| Self::new(status(deny), deny.code(), NOT_AUTHORIZED).detail(detail);
        match deny {
            Deny::NoRoute => forbidden("No policy names this host, method and path"),
            Deny::Unclassified => forbidden(
                "This route is known, and nobody has said yet who may use it; ask whoever runs this API",
            ),
            Deny::ServiceUnknown => forbidden("There is no such service in your account"),
            Deny::UntrustedProxy => forbidden("Only the proxies that Keygate is told of may ask this"),
            Deny::AmbiguousHost => Self::bad_request(deny.code(), "This is no host name"),
            Deny::ConflictingHeaders => Self::bad_request(
                deny.code(),
                "Headers say twice what is asked for: do not send X-Forwarded-Uri, X-Original-URL or their like",
            ),
            Deny::Scope(action) => {
                Self::denied(deny, policy).insufficient_scope(policy.smallest_scope(action))
            }
            Deny::ReadOnly(action) => {
                Self::denied(deny, policy).insufficient_scope(policy.smallest_scope(action))
            }
            _ => Self::denied(deny, policy),
        }
    }

    /// Names the scope that would have been enough (RFC 6750 §3.1).
    fn insufficient_scope(mut self, scope: Option<&str>) -> Self {
        let scope = scope.map_or_else(String::new, |scope| format!(", scope=\"{scope}\""));
        let challenge = format!("Bearer error=\"insufficient_scope\"{scope}");
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            self.headers.push((header::WWW_AUTHENTICATE, challenge));
        }
        self
    }

    /// The answer ahead of a protected API: as RFC 9457 has it, and small.
    pub(crate) fn ahead(self, id: Option<&str>, with_body: bool) -> axum::http::Response<String> {
        let body = if with_body {
            let mut body = Map::new();
            body.insert("title".to_owned(), self.msg.into());
            body.insert("status".to_owned(), self.status.as_u16().into());
            body.insert("code".to_owned(), self.code.into());
            self.detail.map(|detail| body.insert("detail".to_owned(), detail.into()));
            id.map(|id| body.insert("id".to_owned(), id.into()));
            Value::from(body).to_string()
        } else {
            String::new()
        };
        let mut response = axum::http::Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if with_body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }

    /// The proxy cannot connect to its upstream.
    pub(crate) fn upstream_unreachable() -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "upstream_unreachable", "The upstream cannot be reached")
    }

    /// What came from the proxy's upstream was no answer.
    pub(crate) fn upstream_malformed() -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "upstream_malformed", "The upstream gave no proper answer")
    }

    /// The proxy's upstream took too long.
    pub(crate) fn upstream_timeout() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "The upstream took too long")
    }
}
