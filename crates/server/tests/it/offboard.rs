//! Somebody leaves, and what runs on their tokens does not stop (SECURITY-BAR T-13, K27).

use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{House, Reply, Token};

/// What uses a token: the API, and the door behind a proxy.
async fn used(house: &House, token: &Token) -> [Reply; 2] {
    let proxied = house.with(token).proxied("GET", "/tokens/self");
    [house.with(token).get("/tokens/self").await, proxied.send().await]
}

/// How often each token's use without an owner was told.
async fn told(house: &House, asks: &Token, token: &Token) -> Vec<Value> {
    let query = format!(
        "/events?filter[token_id]={}&filter[event_type]=token.owner_disabled&page[size]=100",
        token.id
    );
    let reply = house.with(asks).get(&query).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["data"].as_array().expect("a list").clone()
}

/// Waits until that many are told; and a while longer, for there must not be more.
async fn told_in_time(house: &House, asks: &Token, token: &Token, count: usize) -> Vec<Value> {
    for _ in 0..100 {
        if told(house, asks, token).await.len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let told = told(house, asks, token).await;
    assert_eq!(told.len(), count, "{told:?}");
    told
}

async fn counted(house: &House) -> u64 {
    let metrics = house.anon().get("/metrics").await.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix("keygate_owner_disabled_total "));
    line.expect("the metric").parse().expect("a number")
}

#[track_caller]
fn refused(replies: &[Reply; 2]) {
    let body = json!({
        "msg": "Provided credentials are missing or invalid",
        "detail": "The person behind this token is locked or gone",
        "code": "owner_disabled",
    });
    let [direct, proxied] = replies;
    assert_eq!((direct.status, &direct.json()), (401, &body), "{direct:?}");
    assert_eq!(direct.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    assert_eq!(
        (proxied.status, proxied.header("x-authz-reason")),
        (401, Some("owner_disabled")),
        "{proxied:?}"
    );
}

#[tokio::test]
async fn converted_tokens_go_on_and_the_others_are_told_of() {
    let house = House::new().await;
    let ada = house.token(&house.ada, &[]).await;
    let service = house.service(crate::abuse::shop()).await;
    let deploy = house.token(&house.bob, &[("name", "deploy")]).await;
    let more = [("name", "purge"), ("scope", "purge_select"), ("services[]", service.as_str())];
    let purge = house.token(&house.bob, &more).await;
    let laptop = house.token(&house.bob, &[("name", "laptop")]).await;
    let phone = house.token(&house.bob, &[("name", "phone")]).await;
    for token in [&deploy, &purge, &laptop, &phone] {
        assert_eq!(used(&house, token).await.map(|reply| reply.status), [200, 200]);
    }
    let convert = [&deploy, &purge].map(|token| token.id.parse().expect("an id")).to_vec();
    let app = &house.node.app;
    let converted =
        app.authority.offboard_user(&house.operator(), &app.local_origin(), house.bob.id, convert).await;
    assert_eq!(converted.expect("off-boarded").len(), 2);

    // The same secrets, the same rights, and nobody behind them.
    for (token, name, scope) in [(&deploy, "deploy", "global"), (&purge, "purge", "purge_select")] {
        assert_eq!(used(&house, token).await.map(|reply| reply.status), [200, 200], "{name}");
        let shown = house.with(token).get("/tokens/self").await.json();
        assert_eq!(
            (&shown["user_id"], &shown["name"], &shown["scope"]),
            (&json!(null), &json!(name), &json!(scope))
        );
        let listed = house.with(&ada).get(&format!("/automation-tokens/{}", token.id)).await.json();
        assert_eq!(listed["role"], "engineer", "{listed:?}");
    }
    let purged = format!("/service/{service}/purge/key");
    assert_eq!(house.with(&purge).ask("POST", &purged).send().await.status, 200);
    let all = format!("/service/{service}/purge_all");
    assert_eq!(house.with(&purge).ask("POST", &all).send().await.json()["code"], "insufficient_scope");
    let comment = house.with(&deploy).ask("PUT", &format!("/service/{service}")).form(&[("comment", "x")]);
    assert_eq!(comment.send().await.status, 200);
    let person = house.with(&ada).get(&format!("/user/{}", house.bob.id)).await;
    assert_eq!(person.status, 404, "{person:?}");

    assert_eq!(counted(&house).await, 0);
    for _ in 0..3 {
        refused(&used(&house, &laptop).await);
    }
    refused(&used(&house, &phone).await);
    assert_eq!(counted(&house).await, 8, "each use of each, at each door");
    for token in [&laptop, &phone] {
        let event = &told_in_time(&house, &ada, token, 1).await[0]["attributes"];
        assert_eq!(
            (&event["token_id"], &event["user_id"]),
            (&json!(token.id), &json!(house.bob.id)),
            "{event:?}"
        );
    }

    // Once an hour for each.
    house.advance(Duration::from_secs(3599));
    refused(&used(&house, &laptop).await);
    told_in_time(&house, &ada, &laptop, 1).await;
    house.advance(Duration::from_secs(1));
    refused(&used(&house, &laptop).await);
    told_in_time(&house, &ada, &laptop, 2).await;
    told_in_time(&house, &ada, &phone, 1).await;
    for token in [&deploy, &purge] {
        told_in_time(&house, &ada, token, 0).await;
    }
    assert_eq!(counted(&house).await, 12);
}
