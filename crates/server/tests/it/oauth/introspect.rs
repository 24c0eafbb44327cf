//! `POST /oauth/introspect`.

use std::time::Duration;

use keygate_model::{
    Batch, Digest, Expiry, Permit, Position, Record, Secret, Services, TokenId,
    authorization::Permission,
    customer::CustomerState,
    record::{Owner, TokenRecord},
    token::{Brand, Kind},
};
use serde_json::{Value, json};

use super::{bot, bytes, lead};
use crate::{
    abuse::shop,
    house::{House, Reply, Token},
};

const INACTIVE: &str = r#"{"active":false}"#;

async fn introspect(house: &House, caller: &Token, fields: &[(&str, &str)]) -> Reply {
    house.with(caller).ask("POST", "/oauth/introspect").form(fields).send().await
}

/// What a resource server is told of this secret.
async fn told(house: &House, caller: &Token, secret: &str) -> Value {
    let reply = introspect(house, caller, &[("token", secret), ("token_type_hint", "access_token")]).await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
    assert_eq!(
        (reply.header("content-type"), reply.header("fastly-ratelimit-remaining")),
        (Some("application/json"), None)
    );
    reply.json()
}

fn fresh(kind: Kind) -> String {
    Secret::mint(&Brand::default(), kind, &[42; 32]).reveal().to_string()
}

#[tokio::test]
async fn an_active_token_is_described() {
    let house = House::at("https://api.example.com").await;
    let lead = lead(&house).await;
    let sensor = bot(&house, &lead, "user", "introspect").await;
    let shop = house.service(shop()).await;
    let more =
        [("scope", "purge_select purge_all"), ("services[]", &*shop), ("expires_at", "2027-06-01T00:00:00Z")];
    let token = house.token(&house.bob, &more).await;
    let expected = json!({
        "active": true,
        "scope": "purge_select purge_all",
        "client_id": token.id,
        "username": "bob@example.com",
        "token_type": "Bearer",
        "exp": 1_811_808_000,
        "iat": house.now().seconds(),
        "sub": house.bob.id,
        "iss": "https://api.example.com",
        "jti": token.id,
        "keygate_customer": house.customer,
        "keygate_subject_type": "user",
        "keygate_role": "engineer",
        "keygate_permissions": {
            "account_permissions": ["token:read_self", "token:revoke_self"],
            "service_permissions": [{ "service_id": shop, "permissions": ["purge:key", "purge:url", "purge:all"] }],
        },
    });
    assert_eq!(told(&house, &sensor, &token.secret).await, expected);
    let expected = json!({
        "active": true,
        "scope": "introspect",
        "client_id": sensor.id,
        "token_type": "Bearer",
        "iat": house.now().seconds() ,
        "sub": sensor.id,
        "iss": "https://api.example.com",
        "jti": sensor.id,
        "keygate_customer": house.customer,
        "keygate_subject_type": "automation",
        "keygate_role": "user",
        // And so it can do nothing else.
        "keygate_permissions": {
            "account_permissions": ["token:read_self", "token:revoke_self", "token:introspect"],
            "service_permissions": [{ "service_id": "all_services", "permissions": [] }],
        },
    });
    assert_eq!(told(&house, &sensor, &sensor.secret).await, expected);
}

#[tokio::test]
async fn what_a_token_may_do_is_what_its_owner_may_do_today() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let token = house.token(&house.bob, &[]).await;
    let may = async |action: &str| {
        let told = told(&house, &lead, &token.secret).await;
        assert_eq!((&told["scope"], told.get("iss")), (&json!("global"), None));
        assert_eq!(
            told["keygate_permissions"],
            house.with(&token).get("/verify").await.json()["authorized_permissions"]
        );
        told["keygate_permissions"]["service_permissions"][0]["permissions"]
            .as_array()
            .expect("a list")
            .contains(&json!(action))
    };
    assert!(may("service:create").await);
    let role = [("role", "user")];
    let changed = house.with(&lead).ask("PUT", &format!("/user/{}", house.bob.id)).form(&role).send().await;
    assert_eq!(changed.status, 200);
    assert!(!may("service:create").await && may("service:read").await);
    let role = [("role", "engineer")];
    let changed = house.with(&lead).ask("PUT", &format!("/user/{}", house.bob.id)).form(&role).send().await;
    assert_eq!(changed.status, 200);
    assert!(may("purge:all").await);
    let shop = house.service(shop()).await;
    house.limit(&house.bob, &shop, Permission::ReadOnly).await;
    assert!(!may("purge:all").await && may("service:read").await);
}

/// Unknown, malformed, over, revoked, locked, another customer's, a session: one answer.
#[tokio::test]
async fn b61_every_other_token_is_inactive_and_nothing_else() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let carl =
        house.node.person(house.customer, "carl@example.com", "engineer", crate::house::PASSWORD).await;
    let locked = house.token(&carl, &[]).await;
    let over = house.token(&house.bob, &[("expires_at", "2027-01-15T08:30:00Z")]).await;
    let revoked = house.token(&house.bob, &[]).await;
    let (customer, _, foreign) = house.neighbour().await;
    for token in [&locked, &over, &revoked] {
        assert_eq!(told(&house, &lead, &token.secret).await["active"], true);
    }
    assert_eq!(told(&house, &foreign, &foreign.secret).await["active"], true);
    house.advance(Duration::from_secs(3600));
    assert_eq!(house.with(&revoked).delete("/tokens/self").await.status, 204);
    let lock = house.with(&lead).ask("PUT", &format!("/user/{}", carl.id)).form(&[("locked", "true")]);
    assert_eq!(lock.send().await.status, 200);
    let truncated = &foreign.secret[..52];
    let strangers =
        [fresh(Kind::User), fresh(Kind::Automation), fresh(Kind::Exchanged), fresh(Kind::Session)];
    let odd = ["x", truncated, "kgu_", "é, \u{0}", "0123456789abcdef0123456789abcdef"].map(str::to_owned);
    let gone = [&locked, &over, &revoked, &foreign].map(|token| token.secret.clone());
    let ask = async |secret: &str| bytes(&introspect(&house, &lead, &[("token", secret)]).await);
    let nothing = ask("x").await;
    assert_eq!((nothing.0, nothing.2.as_str()), (200, INACTIVE));
    for secret in strangers.iter().chain(&odd).chain(&gone) {
        assert_eq!(ask(secret).await, nothing, "{secret}");
    }
    let (permit, app) = (Permit::of_the_operator(customer), &house.node.app);
    app.authority
        .set_customer_state(&permit, &app.local_origin(), CustomerState::Suspended)
        .await
        .expect("done");
    assert_eq!(ask(&foreign.secret).await, nothing);
}

#[tokio::test]
async fn a_session_is_inactive_even_if_it_were_somebodys() {
    let house = House::new().await;
    let (lead, session) = (lead(&house).await, fresh(Kind::Session));
    // Of anything but a session it could not be told.
    feed(&house, &session, house.customer, "a-scope-of-another-version");
    assert_eq!(told(&house, &lead, &session).await, json!({ "active": false }));
}

/// Has the gate know a token that no verb could make.
fn feed(house: &House, secret: &str, customer: keygate_model::CustomerId, scope: &str) {
    let token = TokenRecord {
        id: TokenId::from_bits(1),
        digest: Digest::of(secret.as_bytes()),
        customer,
        owner: Owner::Customer { role: "engineer".to_owned() },
        scope: scope.to_owned(),
        services: Services::All,
        expires: Expiry::Never,
        sudo_until: None,
        foreign: false,
        revoked: false,
    };
    let position = Position(house.node.app.gate.position().0 + 1);
    house.node.app.gate.apply(Batch { position, records: vec![Record::Token(token)] });
}

#[tokio::test]
async fn what_cannot_be_told_is_503_and_the_others_still_nothing() {
    let house = House::new().await;
    let (lead, (customer, ..)) = (lead(&house).await, house.neighbour().await);
    let (own, foreign) = (fresh(Kind::Automation), fresh(Kind::User));
    feed(&house, &own, house.customer, "a-scope-of-another-version");
    let reply = introspect(&house, &lead, &[("token", &own)]).await;
    assert_eq!((reply.status, &reply.json()["code"]), (503, &json!("record_unsupported")));
    assert!(reply.header("retry-after").is_some());
    feed(&house, &foreign, customer, "a-scope-of-another-version");
    assert_eq!(told(&house, &lead, &foreign).await, json!({ "active": false }));
    // In the gate and not in the database: gone since.
    feed(&house, &own, house.customer, "global");
    assert_eq!(told(&house, &lead, &own).await, json!({ "active": false }));
}

#[tokio::test]
async fn a_customer_that_limits_networks_wants_to_know_where_a_token_was_used() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let token = house.token(&house.bob, &[]).await;
    let path = format!("/customer/{}", house.customer);
    let limit = [("ip_whitelist", "127.0.0.1,192.0.2.0/24,2001:db8::/32")];
    assert_eq!(house.with(&lead).ask("PUT", &path).form(&limit).send().await.status, 200);
    for (ip, is_active) in [
        ("192.0.2.7", true),
        ("::ffff:192.0.2.7", true),
        ("2001:db8::1", true),
        ("127.0.0.1", true),
        ("192.0.3.7", false),
        ("", false),
    ] {
        let reply = introspect(&house, &lead, &[("token", &token.secret), ("client_ip", ip)]).await;
        assert_eq!((reply.status, &reply.json()["active"]), (200, &json!(is_active)), "{ip}");
        assert!(is_active || reply.body == INACTIVE, "{reply:?}");
    }
}

/// Such a token may look at itself and set a second factor up, which is nothing that a resource server offers.
#[tokio::test]
async fn who_must_set_up_a_second_factor_first_is_inactive() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let token = house.token(&house.bob, &[]).await;
    assert_eq!(told(&house, &lead, &token.secret).await["active"], true);
    let path = format!("/customer/{}", house.customer);
    assert_eq!(house.with(&lead).ask("PUT", &path).form(&[("force_2fa", "true")]).send().await.status, 200);
    assert_eq!(house.with(&token).get("/tokens/self").await.status, 200);
    assert_eq!(told(&house, &lead, &token.secret).await, json!({ "active": false }));
    assert_eq!(told(&house, &lead, &lead.secret).await["active"], true);
}

#[tokio::test]
async fn asking_is_not_using() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let token = house.token(&house.bob, &[]).await;
    assert_eq!(told(&house, &lead, &token.secret).await["active"], true);
    let seen = house.with(&lead).get(&format!("/tokens/{}", token.id)).await.json();
    assert_eq!(seen["last_used_at"], Value::Null);
}

#[tokio::test]
async fn a_resource_server_shows_a_token_of_its_own_that_may_ask() {
    let house = House::new().await;
    let (lead, token) = (lead(&house).await, house.token(&house.bob, &[]).await);
    let shop = house.service(shop()).await;
    let purge = bot(&house, &lead, "engineer", "purge_select").await;
    let limited = house.token(&house.bob, &[("services[]", &*shop)]).await;
    for (caller, code) in [(&purge, "insufficient_scope"), (&limited, "service_limited")] {
        let reply = introspect(&house, caller, &[("token", &token.secret)]).await;
        assert_eq!((reply.status, &reply.json()["code"]), (403, &json!(code)));
    }
    let ask = || house.anon().ask("POST", "/oauth/introspect").form(&[("token", &token.secret)]);
    for (challenge, ask) in [
        ("Bearer", ask()),
        ("Bearer", ask().header("Authorization", "Basic eDp5")),
        (
            "Bearer error=\"invalid_token\"",
            ask().header("Authorization", format!("Bearer {}", fresh(Kind::User))),
        ),
    ] {
        let reply = ask.send().await;
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some(challenge)));
        assert!(!reply.body.contains("active"));
    }
    let reader = house.token(&house.bob, &[("scope", "global:read")]).await;
    let bearer = ask().header("Authorization", format!("Bearer {}", reader.secret)).send().await;
    assert_eq!((bearer.status, &bearer.json()["active"]), (200, &json!(true)));
}
