//! B11 to B13, B53, B54: when a token ends, and who ends it.

use std::time::Duration;

use keygate_authority::user::Changes;
use keygate_model::customer::CustomerState;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{INVALID_TOKEN, forbidden, refused, unauthorized};
use crate::house::{House, NOON, Token};

async fn status(house: &House, token: &Token) -> u16 {
    house.with(token).get("/tokens/self").await.status
}

#[tokio::test]
async fn b11_a_token_ends_on_the_stroke() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[("expires_at", "2027-01-15T09:00:00Z")]).await;
    house.advance(Duration::from_secs(3600) - Duration::from_millis(1));
    assert_eq!(status(&house, &token).await, 200);
    house.advance(Duration::from_millis(1));
    let body = json!({
        "msg": format!("Token {} expired at 2027-01-15T09:00:00Z", token.id),
        "code": "token_expired",
    });
    for _ in 0..2 {
        let reply = house.with(&token).get("/tokens/self").await;
        refused(&reply, 401, &body);
        assert_eq!(reply.header("www-authenticate"), Some(INVALID_TOKEN));
        house.advance(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn b12_a_revoked_token_is_told_so() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    house.advance(Duration::from_secs(60));
    assert_eq!(house.with(&token).delete("/tokens/self").await.status, 204);
    house.advance(Duration::from_secs(60));
    let detail = format!("Token {} was revoked at 2027-01-15T08:01:00Z", token.id);
    unauthorized(
        &house.with(&token).get("/tokens/self").await,
        INVALID_TOKEN,
        "token_revoked",
        Some(&detail),
    );
}

/// Was wrong once: the gate was asked when the head had come in, and a body may take ten seconds longer.
#[tokio::test]
async fn b12_a_revoke_does_not_wait_for_a_body() {
    let house = House::new().await;
    let token = house.token(&house.ada, &[]).await;
    let body = "login=mallory@example.com&role=superuser";
    let head = format!(
        "POST /user HTTP/1.1\r\nHost: x\r\nConnection: close\r\nFastly-Key: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        token.secret,
        body.len()
    );
    let mut slow = TcpStream::connect(house.anon().address()).await.unwrap();
    slow.write_all(head.as_bytes()).await.unwrap();
    // By then the gate has said yes.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(house.with(&token).delete("/tokens/self").await.status, 204);
    slow.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(house.letters().is_empty(), "somebody was added");
}

#[tokio::test]
async fn b13_a_locked_person() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    let (authority, origin) = (&house.node.app.authority, house.node.app.local_origin());
    let permit = house.operator();
    let lock = |locked| authority.update_user(&permit, &origin, house.bob.id, Changes::locked(locked));
    let refused = async || {
        let detail = Some("The person behind this token is locked or gone");
        unauthorized(&house.with(&token).get("/tokens/self").await, INVALID_TOKEN, "owner_disabled", detail);
    };
    lock(true).await.expect("done");
    refused().await;
    lock(false).await.expect("done");
    assert_eq!(status(&house, &token).await, 200);
    authority.offboard_user(&permit, &origin, house.bob.id, Vec::new()).await.expect("done");
    refused().await;
}

#[tokio::test]
async fn b13_a_suspended_customer() {
    let house = House::new().await;
    let tokens = [house.token(&house.bob, &[]).await, house.token(&house.ada, &[]).await];
    let (authority, origin) = (&house.node.app.authority, house.node.app.local_origin());
    authority.set_customer_state(&house.operator(), &origin, CustomerState::Suspended).await.expect("done");
    for token in &tokens {
        let reply = house.with(token).get("/tokens/self").await;
        forbidden(&reply, "tenant_suspended", "This account is suspended");
    }
    authority.set_customer_state(&house.operator(), &origin, CustomerState::Active).await.expect("done");
    assert_eq!(status(&house, &tokens[0]).await, 200);
}

#[tokio::test]
async fn b53_to_revoke_what_is_not_there() {
    let house = House::new().await;
    let bobs = house.token(&house.bob, &[]).await;
    let adas = house.token(&house.ada, &[]).await;
    let caller = house.with(&bobs);
    // A colleague's is as missing as one that never was, and as what cannot be an id.
    let long = "4vjQmcqGgQXyCx7MnPqVLkkkk";
    for id in [adas.id.as_str(), "4vjQmcqGgQXyCx7MnPqVLk", "0", "no-id", long, &adas.secret] {
        // What is no id may be a secret in the wrong place, and is not repeated.
        let detail = format!("Cannot find token '{}'", if id.len() > 24 { "…" } else { id });
        let body = json!({ "msg": "Record not found", "detail": detail, "code": "not_found" });
        refused(&caller.delete(&format!("/tokens/{id}")).await, 404, &body);
        refused(&caller.get(&format!("/tokens/{id}")).await, 404, &body);
        let list = json!({ "data": [{ "type": "token", "id": bobs.id }, { "type": "token", "id": id }] });
        refused(&caller.ask("DELETE", "/tokens").json(&list).send().await, 404, &body);
    }
    assert_eq!(status(&house, &bobs).await, 200, "all or none");
    assert_eq!(status(&house, &adas).await, 200);
}

#[tokio::test]
async fn b54_to_revoke_twice() {
    let house = House::new().await;
    let [asks, gone] = [house.token(&house.bob, &[]).await, house.token(&house.bob, &[]).await];
    let caller = house.with(&asks);
    let path = format!("/tokens/{}", gone.id);
    for _ in 0..2 {
        let reply = caller.delete(&path).await;
        assert_eq!((reply.status, reply.body.as_str(), reply.header("content-type")), (204, "", None));
        house.advance(Duration::from_secs(1));
    }
    let list = json!({ "data": [{ "type": "token", "id": gone.id }, { "type": "token", "id": gone.id }] });
    assert_eq!(caller.ask("DELETE", "/tokens").json(&list).send().await.status, 204);
    // The first time counts.
    let detail = format!("Token {} was revoked at 2027-01-15T08:00:00Z", gone.id);
    assert_eq!(house.now(), NOON.after(Duration::from_secs(2)));
    unauthorized(&house.with(&gone).get("/tokens/self").await, INVALID_TOKEN, "token_revoked", Some(&detail));
}

#[tokio::test]
async fn b54_an_idempotency_key_twice() {
    let house = House::new().await;
    let order = |name: &str| {
        house
            .log_in(&house.bob.login, super::super::house::PASSWORD, None, &[("name", name)])
            .header("Idempotency-Key", "one")
    };
    let first = order("deploy").send().await;
    assert_eq!(first.status, 200, "{first:?}");
    let id = first.json()["id"].as_str().expect("an id").to_owned();

    let detail =
        format!("this Idempotency-Key has made token '{id}'; its secret was shown then and is not kept");
    let same = json!({ "msg": "This was done before", "detail": detail, "code": "idempotency_replayed" });
    refused(&order("deploy").send().await, 409, &same);

    let other = json!({
        "msg": "Idempotency-Key was used before",
        "detail": "this Idempotency-Key was used with another body",
        "code": "idempotency_mismatch",
    });
    refused(&order("another").send().await, 422, &other);
    let token = house.token(&house.bob, &[]).await;
    let tokens = house.with(&token).get("/tokens").await.json();
    assert_eq!(tokens.as_array().map(Vec::len), Some(2), "one by the key, one to look with");
}
