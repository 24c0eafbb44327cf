//! What a client hears that is not let in; the API hears nothing.

use serde_json::Value;

use crate::{
    edge::{Edge, Kind, each_kind},
    house::{HOST, House},
    wire::Ask,
};

async fn each_refusal_is_told_as_it_is(kind: Kind) {
    let house = House::new();
    let edge = Edge::new(kind, &house).await;
    let (token, reader) = (house.token.secret.as_str(), house.reader.secret.as_str());
    let clerk = house.token_of("cleo@example.com", "clerk", "global").secret;
    let revoked = house.token_of("rey@example.com", "engineer", "global").secret;
    house.server().send("DELETE", "/tokens/self", &[("Fastly-Key", &revoked)], "");
    let order = || Ask::get("/orders/1");
    for (ask, status, code) in [
        (order(), 401, "credential_missing"),
        (order().header("Authorization", "Basic Og=="), 401, "scheme_not_supported"),
        (order().key("no token of ours"), 401, "token_malformed"),
        (order().key(&revoked), 401, "token_unknown"),
        (order().key(token).key(token), 400, "multiple_credentials"),
        (order().key(&format!("{token},{token}")), 400, "multiple_credentials"),
        (order().key(token).header("Authorization", format!("Bearer {reader}")), 400, "multiple_credentials"),
        (Ask::get(format!("/orders/1?key={token}")).key(token), 400, "credential_in_url"),
        (Ask::new("POST", "/orders").key(reader), 403, "insufficient_scope"),
        (Ask::new("POST", "/orders").key(&clerk), 403, "insufficient_role"),
        (Ask::get("/orders/admin").key(token), 403, "insufficient_scope"),
        (Ask::get("/nowhere").key(token), 403, "no_rule"),
        (Ask::new("PROPFIND", "/orders/1").key(token), 403, "no_rule"),
        (Ask::get("/new").key(token), 403, "unclassified"),
        (order().key(token).at("other.example.com"), 403, "no_rule"),
        (order().key(token).at("api.shop..example.com"), 400, "ambiguous_host"),
        (Ask::get("/orders//1").key(token), 400, "ambiguous_path"),
        (order().key(token).header("X-HTTP-Method-Override", "DELETE"), 400, "method_override_refused"),
        (order().key(token).header("X-Method-Override", "DELETE"), 400, "method_override_refused"),
        (order().key(token).header("X-Original-URL", "/health"), 400, "conflicting_forward_headers"),
        (order().key(token).header("X-Forwarded-Uri", "/health"), 400, "conflicting_forward_headers"),
    ] {
        let answer = ask.send(edge.address).await;
        assert_eq!((answer.status, answer.header("X-Authz-Reason")), (status, Some(code)), "{answer:?}");
        let told: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!((&told["status"], told["code"].as_str()), (&Value::from(status), Some(code)));
        assert!(
            told["id"].as_str().is_some() && told["id"].as_str() == answer.header("X-Authz-Id"),
            "{answer:?}"
        );
        assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
        assert_eq!((answer.header("Cache-Control"), answer.header("Vary")), (Some("no-store"), Some("*")));
        let challenged = status == 401 || code == "insufficient_scope";
        assert_eq!(answer.header("WWW-Authenticate").is_some(), challenged, "{answer:?}");
        assert!(!answer.body.contains(token), "{answer:?}");
        let got = edge.api.take();
        assert!(got.is_empty(), "{code}: {got:?}");
    }
    assert_eq!(order().key(token).send(edge.address).await.status, 200, "the same, as it should be");
    assert_eq!(order().at(&format!("{HOST}:443")).key(token).send(edge.address).await.status, 200, "a port");
    assert_eq!(edge.api.take().len(), 2);
}
each_kind!(each_refusal_is_told_as_it_is);
