//! Metadata documents.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{Ap, Reply};
use crate::{app::App, error::Problem};

/// Where a protected resource says what it is (RFC 9728).
pub(crate) const PROTECTED_RESOURCE: &str = "oauth-protected-resource";

const JWK_SET: &str = "application/jwk-set+json";

/// What Fastly's command line asks for before anything else, and goes on only if it is JSON. There is no single sign-on
/// here, and the document says so by naming no endpoint.
pub(crate) async fn openid_configuration() -> Json<Value> {
    Json(json!({ "msg": "There is no single sign-on here" }))
}

/// What OAuth there is (RFC 8414): a token is looked at and revoked, and given out elsewhere, so the lists of how are
/// empty. Absent they would mean that there are the usual ways.
pub(crate) async fn authorization_server(State(app): Ap) -> Reply {
    let issuer = address(&app)?;
    Ok(Json(json!({
        "issuer": issuer,
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "introspection_endpoint_auth_methods_supported": ["Bearer"],
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "revocation_endpoint_auth_methods_supported": ["none"],
        "response_types_supported": [],
        "grant_types_supported": [],
        "scopes_supported": app.gate.policy().seen_by(None).scope_names(),
        "service_documentation": format!("{issuer}/openapi.json"),
    })))
}

/// The key that identities are signed with (RFC 7517), for the APIs that verify them.
pub(crate) async fn jwks(State(app): Ap) -> Response {
    let key = |(id, x): (&str, String)| json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig", "alg": "EdDSA" });
    let keys: Vec<_> = app.authority.signer().public().into_iter().map(key).collect();
    let headers = [(header::CONTENT_TYPE, JWK_SET), (header::CACHE_CONTROL, "max-age=300")];
    (headers, Json(json!({ "keys": keys }))).into_response()
}

/// How this API takes tokens, and whose (RFC 9728).
pub(crate) async fn protected_resource(State(app): Ap) -> Reply {
    let resource = address(&app)?;
    Ok(Json(json!({
        "resource": resource,
        "authorization_servers": [resource],
        "scopes_supported": app.gate.policy().seen_by(None).scope_names(),
        "bearer_methods_supported": ["header"],
        "resource_documentation": format!("{resource}/openapi.json"),
    })))
}

/// The address that clients see. A client compares it with the one that it knows, so it is not guessed from `Host`.
fn address(app: &App) -> Result<&str, Problem> {
    let unknown = || {
        Problem::new(StatusCode::NOT_FOUND, "not_found", "Record not found")
            .detail("This server does not know its own address: set public_url in its configuration")
    };
    app.public_url.as_deref().ok_or_else(unknown)
}

/// Where a document of this address is: between the host and the path, if it has one (RFC 8414 §3, RFC 9728 §3).
pub(crate) fn metadata_url(address: &str, document: &str) -> String {
    let host = address.find("://").map_or(0, |at| at + 3);
    let path = address[host..].find('/').map_or(address.len(), |at| host + at);
    let (host, path) = address.split_at(path);
    format!("{host}/.well-known/{document}{path}")
}

#[cfg(test)]
mod tests {
    use super::metadata_url;

    #[test]
    fn the_name_of_a_document_stands_before_the_path() {
        for (address, url) in [
            ("https://a.example", "https://a.example/.well-known/x"),
            ("http://a.example:8080", "http://a.example:8080/.well-known/x"),
            ("https://a.example/key/gate", "https://a.example/.well-known/x/key/gate"),
        ] {
            assert_eq!(metadata_url(address, "x"), url);
        }
    }
}
