//! Who asks, as a signed JWT: verified as a protected API does, by a library that is not ours, with the keys as published.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    errors::{Error, ErrorKind},
    get_current_timestamp,
    jwk::{JwkSet, ThumbprintHash},
};
use keygate_authority::keys::Keys;
use keygate_model::{
    Policy, PolicyId, Timestamp,
    policy::{ApiSource, OWN_POLICY},
};
use keygate_server::edge::Clock;
use serde_json::{Value, json};

use crate::house::{House, NOON, Node, Reply, Token};

const ADDRESS: &str = "https://keygate.example";
const HOST: &str = "api.shop.example";

/// A policy of this name, at a host like it, with these lines for its identity.
fn policy(name: &str, identity: &str) -> String {
    format!(
        r#"
        name = "{name}"
        hosts = ["api.{name}.example"]
        customers = "all"
        {identity}
        [actions]
        "order:read" = {{ read = true }}
        [scopes]
        "{name}:read" = ["@read"]
        [roles]
        "engineer" = ["*"]
        [routes]
        "GET /orders" = {{ action = "order:read" }}
        "GET /health" = {{ public = true }}
        "#
    )
}

async fn apply(house: &House, name: &str, identity: &str) {
    let app = &house.node.app;
    let id = PolicyId::from_bytes(app.rng.bytes().expect("chance"));
    let applied = app.authority.apply_policy(&app.local_origin(), id, policy(name, identity)).await;
    applied.expect("a policy");
}

/// A house with a shop that wants to be told, and a token for it.
async fn shop(identity: &str) -> (House, Token) {
    let house = House::at(ADDRESS).await;
    apply(&house, "shop", identity).await;
    let token = house.token(&house.bob, &[("scope", "shop:read")]).await;
    (house, token)
}

/// What nginx is told about a request that carries a JWT of its sender's own making.
async fn at(node: &Node, secret: &str, host: &str, path: &str) -> Reply {
    let caller = if secret.is_empty() { node.anon.clone() } else { node.anon.showing(secret) };
    let ask = caller.ask("GET", "/authz/auth-request").header("X-Original-Method", "GET");
    let ask = ask.header("X-Original-URL", format!("https://{host}{path}")).header("X-Auth-Jwt", "forged");
    ask.header("X-Forwarded-For", "192.0.2.1").send().await
}

async fn jwt(node: &Node, token: &Token) -> String {
    let reply = at(node, &token.secret, HOST, "/orders").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.header("x-auth-jwt").expect("the header").to_owned()
}

async fn keys(node: &Node) -> JwkSet {
    serde_json::from_str(&node.anon.get("/.well-known/jwks.json").await.body).expect("keys")
}

/// What an API does with it, but for looking at its clock, which the house's is not.
fn verify(jwt: &str, keys: &JwkSet, audience: &str) -> Result<Value, Error> {
    let mut rules = rules(audience);
    (rules.validate_exp, rules.validate_nbf) = (false, false);
    verify_by(jwt, keys, &rules)
}

fn rules(audience: &str) -> Validation {
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_audience(&[audience]);
    rules.set_issuer(&[ADDRESS]);
    rules.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    (rules.leeway, rules.validate_nbf) = (0, true);
    rules
}

fn verify_by(jwt: &str, keys: &JwkSet, rules: &Validation) -> Result<Value, Error> {
    let id = decode_header(jwt)?.kid.ok_or(ErrorKind::InvalidToken)?;
    let key = keys.find(&id).ok_or(ErrorKind::InvalidSignature)?;
    Ok(decode::<Value>(jwt, &DecodingKey::from_jwk(key)?, rules)?.claims)
}

#[track_caller]
fn refused(verified: Result<Value, Error>, why: &ErrorKind) {
    assert_eq!(verified.expect_err("refused").kind(), why);
}

#[tokio::test]
async fn the_api_is_told_who_asks_and_can_tell_that_it_is_so() {
    let (house, token) = shop("identity = { jwt = true }").await;
    let (jwt, keys) = (jwt(&house.node, &token).await, keys(&house.node).await);
    let mut claims = verify(&jwt, &keys, HOST).expect("a JWT");
    let ids: BTreeSet<_> = [claims["jti"].take(), self::jwt(&house.node, &token).await.into()]
        .map(|id| id.as_str().expect("a text").to_owned())
        .into();
    assert!(ids.len() == 2 && !ids.contains(&jwt), "each is signed for itself");
    let now = NOON.seconds();
    let expected = json!({
        "iss": ADDRESS,
        "aud": HOST,
        "sub": house.bob.id,
        "iat": now,
        "nbf": now,
        "exp": now + 60,
        "jti": null,
        "keygate_token": token.id,
        "keygate_customer": house.customer,
        "scope": "shop:read",
        "role": "engineer",
        "subject_type": "user",
    });
    assert_eq!(claims, expected);
    let header = decode_header(&jwt).expect("a header");
    assert_eq!((header.typ.as_deref(), header.alg), (Some("JWT"), Algorithm::EdDSA));
}

#[tokio::test]
async fn a_machine_is_told_of_as_itself() {
    let (house, _) = shop("identity = { jwt = true }").await;
    let lead = house.token(&house.ada, &[]).await;
    house.sudo(&lead).await;
    let new = json!({ "name": "bot", "role": "engineer", "scope": "shop:read" });
    let made = house.with(&lead).ask("POST", "/automation-tokens").json(&new).send().await.json();
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    let bot = Token { id: text("id"), secret: text("access_token") };
    let claims = verify(&jwt(&house.node, &bot).await, &keys(&house.node).await, HOST).expect("a JWT");
    assert_eq!((&claims["sub"], &claims["keygate_token"]), (&json!(bot.id), &json!(bot.id)));
    assert_eq!((&claims["subject_type"], &claims["role"]), (&json!("automation"), &json!("engineer")));
}

#[tokio::test]
async fn the_keys_are_public_and_those_of_every_node_on_the_key_file() {
    let (house, token) = shop("identity = { jwt = true }").await;
    let reply = house.anon().get("/.well-known/jwks.json").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/jwk-set+json")));
    assert_eq!(reply.header("cache-control"), Some("max-age=300"));
    let keys = keys(&house.node).await;
    let [key] = keys.keys.as_slice() else { panic!("one key: {reply:?}") };
    let thumbprint = key.thumbprint(ThumbprintHash::SHA256).expect("a thumbprint");
    assert_eq!(key.common.key_id.as_ref(), Some(&thumbprint));
    let beside = house.beside().await;
    verify(&jwt(&beside, &token).await, &keys, HOST).expect("another node's JWT");
    let house = house.restart().await;
    verify(&jwt(&house.node, &token).await, &keys, HOST).expect("a JWT after a restart");
    let other = Keys::derive(&[8; 32]);
    let (id, x) = other.signer().public().expect("a key");
    assert_ne!(id, thumbprint, "another key file");
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": thumbprint, "alg": "EdDSA" });
    let others = serde_json::from_value(json!({ "keys": [key] })).expect("keys");
    refused(verify(&jwt(&house.node, &token).await, &others, HOST), &ErrorKind::InvalidSignature);
}

#[tokio::test]
async fn it_is_for_one_api_alone() {
    let (house, token) = shop("identity = { jwt = true }").await;
    apply(&house, "depot", "identity = { jwt = true, audience = \"urn:depot\" }").await;
    let keys = keys(&house.node).await;
    let jwt = jwt(&house.node, &token).await;
    refused(verify(&jwt, &keys, "api.depot.example"), &ErrorKind::InvalidAudience);
    refused(verify(&jwt, &keys, "urn:depot"), &ErrorKind::InvalidAudience);
    let depot = house.token(&house.bob, &[("scope", "depot:read")]).await;
    // However the host is written, its audience is in one spelling.
    let reply = at(&house.node, &depot.secret, "API.depot.example:443", "/orders").await;
    let jwt = reply.header("x-auth-jwt").expect("the header");
    verify(jwt, &keys, "urn:depot").expect("a JWT for the depot");
    refused(verify(jwt, &keys, HOST), &ErrorKind::InvalidAudience);
    let reply = at(&house.node, &token.secret, "API.Shop.example:443", "/orders").await;
    verify(reply.header("x-auth-jwt").expect("the header"), &keys, HOST).expect("a JWT");
}

#[tokio::test]
async fn where_there_is_none_the_header_says_so() {
    let (house, token) = shop("identity = { jwt = true }").await;
    apply(&house, "plain", "").await;
    apply(&house, "off", "identity = { jwt = false }").await;
    let both = house.token(&house.bob, &[("scope", "plain:read off:read")]).await;
    for (secret, host, path) in [
        ("", HOST, "/health"),
        (&*token.secret, HOST, "/health"),
        (&*both.secret, "api.plain.example", "/orders"),
        (&*both.secret, "api.off.example", "/orders"),
        (&*both.secret, "keygate.test", "/livez"),
    ] {
        let reply = at(&house.node, secret, host, path).await;
        let allowed = reply.status == 200;
        assert!(allowed || host == "keygate.test", "{reply:?}");
        assert_eq!(reply.header("x-auth-jwt"), allowed.then_some("-"), "{host}{path}");
    }
    let refused = at(&house.node, &both.secret, HOST, "/orders").await;
    assert_eq!((refused.status, refused.header("x-auth-jwt")), (403, None));
}

#[tokio::test]
async fn what_was_edited_is_refused() {
    let (house, token) = shop("identity = { jwt = true }").await;
    let (jwt, keys) = (jwt(&house.node, &token).await, keys(&house.node).await);
    verify(&jwt, &keys, HOST).expect("a JWT");
    let mut edited = 0;
    for (at, old) in jwt.char_indices().filter(|(_, old)| *old != '.') {
        let new = if old == 'A' { "B" } else { "A" };
        let other = [&jwt[..at], new, &jwt[at + 1..]].concat();
        assert!(verify(&other, &keys, HOST).is_err(), "character {at}");
        edited += 1;
    }
    assert!(edited > 300, "{edited}");
    let (_, rest) = jwt.split_once('.').expect("three parts");
    let unsigned = data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"JWT","kid":"x"}"#);
    assert!(verify(&format!("{unsigned}.{rest}"), &keys, HOST).is_err());
}

#[tokio::test]
async fn it_is_good_for_a_short_while() {
    let (house, token) = shop("identity = { jwt = true, lifetime_seconds = 30 }").await;
    let keys = keys(&house.node).await;
    let Clock::Manual(clock) = &house.node.app.clock else { panic!("a test's clock is moved by hand") };
    let now = i64::try_from(get_current_timestamp()).expect("seconds");
    let at_second = async |second: i64| {
        clock.store(Timestamp::from_seconds(second).micros(), Ordering::Relaxed);
        verify_by(&jwt(&house.node, &token).await, &keys, &rules(HOST))
    };
    let claims = at_second(now).await.expect("a JWT of this moment");
    assert_eq!(claims["exp"], now + 30);
    refused(at_second(now - 32).await, &ErrorKind::ExpiredSignature);
    refused(at_second(now + 20).await, &ErrorKind::ImmatureSignature);
}

#[tokio::test]
async fn it_does_not_outlive_the_token() {
    let (house, _) = shop("identity = { jwt = true, lifetime_seconds = 300 }").await;
    let end = "2027-01-15T08:01:30Z";
    let token = house.token(&house.bob, &[("scope", "shop:read"), ("expires_at", end)]).await;
    let claims = verify(&jwt(&house.node, &token).await, &keys(&house.node).await, HOST).expect("a JWT");
    assert_eq!(claims["exp"], NOON.seconds() + 90);
}

#[tokio::test]
async fn a_server_that_does_not_know_its_address_lets_nobody_in_unsigned() {
    let house = House::new().await;
    apply(&house, "shop", "identity = { jwt = true }").await;
    apply(&house, "plain", "").await;
    let token = house.token(&house.bob, &[("scope", "shop:read plain:read")]).await;
    let reply = at(&house.node, &token.secret, HOST, "/orders").await;
    assert_eq!((reply.status, reply.header("x-auth-jwt")), (503, None), "{reply:?}");
    assert_eq!(reply.header("x-authz-reason"), Some("public_url_missing"));
    assert_eq!(at(&house.node, &token.secret, HOST, "/health").await.status, 200);
    assert_eq!(at(&house.node, &token.secret, "api.plain.example", "/orders").await.status, 200);
}

#[test]
fn what_means_nothing_in_a_policy_is_refused() {
    let own = Policy::compile(OWN_POLICY).expect("the policy");
    let compiled = |identity: &str| {
        let text = policy("shop", &format!("identity = {{ {identity} }}"));
        own.with(&[ApiSource { text: Some(&text), retired: &[] }]).map(|_| ())
    };
    for right in ["jwt = true", "jwt = true, audience = \"x\", lifetime_seconds = 10", "jwt = false"] {
        compiled(right).expect(right);
    }
    compiled("jwt = true, lifetime_seconds = 300").expect("the longest");
    for odd in [
        "",
        "audience = \"x\"",
        "jwt = 1",
        "jwt = true, audience = \"\"",
        "jwt = true, audience = \"a b\"",
        "jwt = true, lifetime = 60",
        "jwt = true, lifetime_seconds = 9",
        "jwt = true, lifetime_seconds = 301",
        "jwt = true, lifetime_seconds = -60",
        "jwt = true, lifetime_seconds = 65596",
    ] {
        assert!(compiled(odd).is_err(), "{odd}");
    }
}
