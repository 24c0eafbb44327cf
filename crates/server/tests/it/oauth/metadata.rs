//! What the server says of itself, and where a 401 points to.

use serde_json::json;

use crate::house::House;

const ADDRESS: &str = "https://api.example.com";
const SCOPES: [&str; 7] =
    ["automation_token:mint", "feed", "global", "global:read", "introspect", "purge_all", "purge_select"];

#[tokio::test]
async fn the_documents_name_the_address_that_clients_see() {
    let house = House::at(ADDRESS).await;
    let server = house.anon().get("/.well-known/oauth-authorization-server").await;
    let expected = json!({
        "issuer": ADDRESS,
        "introspection_endpoint": "https://api.example.com/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": ["Bearer"],
        "jwks_uri": "https://api.example.com/.well-known/jwks.json",
        "revocation_endpoint": "https://api.example.com/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": ["none"],
        "response_types_supported": [],
        "grant_types_supported": [],
        "scopes_supported": SCOPES,
        "service_documentation": "https://api.example.com/openapi.json",
    });
    assert_eq!((server.status, server.json()), (200, expected));
    let resource = house.anon().get("/.well-known/oauth-protected-resource").await;
    let expected = json!({
        "resource": ADDRESS,
        "authorization_servers": [ADDRESS],
        "scopes_supported": SCOPES,
        "bearer_methods_supported": ["header"],
        "resource_documentation": "https://api.example.com/openapi.json",
    });
    assert_eq!((resource.status, resource.json()), (200, expected));
    for reply in [server, resource] {
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_its_address_names_none() {
    let house = House::new().await;
    for document in ["oauth-authorization-server", "oauth-protected-resource"] {
        let path = format!("/.well-known/{document}");
        let reply = house.anon().ask("GET", &path).header("X-Forwarded-Host", "evil.example").send().await;
        let body = json!({
            "msg": "Record not found",
            "detail": "This server does not know its own address: set public_url in its configuration",
            "code": "not_found",
        });
        assert_eq!((reply.status, reply.json()), (404, body));
    }
    let reply = house.anon().get("/tokens/self").await;
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn every_401_points_to_the_document() {
    let there = "resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\"";
    let house = House::at(ADDRESS).await;
    let (live, over) = (house.token(&house.bob, &[]).await, house.token(&house.bob, &[]).await);
    assert_eq!(house.with(&over).delete("/tokens/self").await.status, 204);
    let nothing = house.anon().get("/tokens/self").await;
    assert_eq!(
        (nothing.status, nothing.header("www-authenticate")),
        (401, Some(&*format!("Bearer {there}")))
    );
    let wrong = house.with(&over).get("/tokens/self").await;
    let challenge = format!("Bearer error=\"invalid_token\", {there}");
    assert_eq!((wrong.status, wrong.header("www-authenticate")), (401, Some(&*challenge)));
    for (path, status) in [("/tokens/self", 200), ("/events", 403), ("/nowhere", 404)] {
        let reply = house.with(&live).get(path).await;
        assert_eq!((reply.status, reply.header("www-authenticate")), (status, None));
    }
    let house = House::at("https://example.com/key/gate").await;
    let path = "https://example.com/.well-known/oauth-protected-resource/key/gate";
    let nothing = house.anon().get("/tokens/self").await;
    assert_eq!(nothing.header("www-authenticate"), Some(&*format!("Bearer resource_metadata=\"{path}\"")));
}
