//! What OAuth's doors take and how they refuse it: a form and nothing else, and RFC 6749 §5.2's errors.

use std::net::IpAddr;

use axum::{
    Json,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    body,
    error::{Code, Problem},
};

/// The fields that mean something. Others are ignored, as RFC 6749 §3.2 has it; so is `token_type_hint`, since one look
/// finds a token of any type.
pub(crate) struct Form {
    pub(super) token: Zeroizing<String>,
    /// Where the token was used from, if the asker says so.
    pub(super) client: Option<IpAddr>,
}

/// Why not.
pub(crate) enum Refusal {
    /// The request cannot be what it says; why, in words without `"` and `\`.
    InvalidRequest(&'static str),
    /// A secret of a type that is not revoked here.
    UnsupportedTokenType,
    /// What every other door would say too.
    Problem(Problem),
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let is_form = is_form(request.headers());
        let body = body::collect(request.into_body()).await?;
        if !is_form {
            return Err(Refusal::InvalidRequest("Send a form: application/x-www-form-urlencoded"));
        }
        Self::parse(&body)
    }
}

impl Form {
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let client = field(body, "client_ip", "Send one client_ip")?;
        let client = client.map(|text| text.parse()).transpose();
        field(body, "token_type_hint", "Send one token_type_hint")?;
        Ok(Self {
            token: field(body, "token", "Send one token")?.ok_or(Refusal::InvalidRequest("Send a token"))?,
            client: client.map_err(|_| Refusal::InvalidRequest("The client_ip is an IP address"))?,
        })
    }
}

/// A field that may come once. Without a value it is absent (RFC 6749 §3.2).
fn field(body: &[u8], name: &str, twice: &'static str) -> Result<Option<Zeroizing<String>>, Refusal> {
    let mut found = form_urlencoded::parse(body).filter(|(known, _)| known == name);
    let value = found.next().map(|(_, value)| Zeroizing::new(value.into_owned()));
    if found.next().is_some() {
        return Err(Refusal::InvalidRequest(twice));
    }
    Ok(value.filter(|value| !value.is_empty()))
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (error, why) = match self {
            Self::Problem(problem) => return problem.into_response(),
            Self::InvalidRequest(why) => ("invalid_request", why),
            Self::UnsupportedTokenType => ("unsupported_token_type", "A session is not revoked here"),
        };
        let body = Json(json!({ "error": error, "error_description": why }));
        let mut response = (StatusCode::BAD_REQUEST, body).into_response();
        response.extensions_mut().insert(Code(error));
        response
    }
}
