//! B31, B32, B38, B39: who is let in by password, and what those who are not may learn.

use std::time::Duration;

use keygate_authority::user::Changes;
use serde_json::json;

use super::{bad_request, refused};
use crate::house::{House, PASSWORD, Reply};

const WRONG: &str = "not the password at all";

/// The answer as bytes would show it, without what differs in every answer.
fn bare(reply: Reply) -> (u16, Vec<(String, String)>, String) {
    let mut headers = reply.headers;
    headers.retain(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
    (reply.status, headers, reply.body)
}

#[tokio::test]
async fn b31_whoever_is_not_let_in_learns_nothing() {
    let house = House::new().await;
    let (authority, origin) = (&house.node.app.authority, house.node.app.local_origin());
    let locked = house.node.person(house.customer, "locked@example.com", "user", PASSWORD).await;
    authority.update_user(&house.operator(), &origin, locked.id, Changes::locked(true)).await.expect("done");
    let gone = house.node.person(house.customer, "gone@example.com", "user", PASSWORD).await;
    authority.delete_user(&house.operator(), &origin, gone.id).await.expect("done");
    let long = "x".repeat(300);
    let kinds = [
        ("nobody@example.com", PASSWORD),
        ("bob@example.com", WRONG),
        ("bob@example.com", ""),
        ("ada@example.com", WRONG),
        ("locked@example.com", PASSWORD),
        ("locked@example.com", WRONG),
        ("gone@example.com", PASSWORD),
        // No logins at all.
        ("a b", PASSWORD),
        ("", PASSWORD),
        (long.as_str(), PASSWORD),
    ];
    let first = house.log_in("somebody@example.com", PASSWORD, None, &[]).send().await;
    let body = json!({
        "msg": "invalid_grant",
        "detail": "the login or the password is not right",
        "code": "login_failed",
    });
    refused(&first, 400, &body);
    let first = bare(first);
    for (login, password) in kinds {
        for otp in [None, Some("000000"), Some("no code")] {
            let reply = house.log_in(login, password, otp, &[]).send().await;
            assert_eq!(bare(reply), first, "{login:?} {otp:?}");
            house.advance(Duration::from_secs(600));
        }
    }
}

#[tokio::test]
async fn b32_asking_for_the_code_comes_after_the_password_and_counts_nothing() {
    let house = House::new().await;
    let body = json!({ "msg": "2fa.verify", "detail": "a one-time code is needed", "code": "otp_required" });
    for _ in 0..12 {
        let reply = house.log_in(&house.ada.login, PASSWORD, None, &[]).send().await;
        refused(&reply, 400, &body);
        assert_eq!(reply.header("fastly-otp"), Some("required"));
    }
    let wrong = house.log_in(&house.ada.login, WRONG, None, &[]).send().await;
    assert_eq!((&wrong.json()["code"], wrong.header("fastly-otp")), (&json!("login_failed"), None));
    let code = house.ada.code(house.now());
    assert_eq!(house.log_in(&house.ada.login, PASSWORD, Some(&code), &[]).send().await.status, 200);
}

#[tokio::test]
async fn b32_a_request_without_login_or_password() {
    let house = House::new().await;
    let body = json!({
        "msg": "invalid_request",
        "detail": "Send username and password, or a Fastly-Key whose token is in sudo",
        "code": "credential_missing",
    });
    let fields: [&[_]; 4] =
        [&[], &[("name", "x")], &[("username", "bob@example.com")], &[("password", PASSWORD)]];
    for fields in fields {
        refused(&house.anon().ask("POST", "/tokens").form(fields).send().await, 400, &body);
    }
    let null = json!({ "username": null, "password": null });
    refused(&house.anon().ask("POST", "/tokens").json(&null).send().await, 400, &body);
    // Fastly's Python client says JSON and sends nothing.
    refused(&house.anon().ask("POST", "/tokens").body("application/json", "").send().await, 400, &body);
}

#[tokio::test]
async fn b38_every_spelling_every_door_and_every_address_share_one_bucket() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    let too_many = json!({
        "msg": "Too many attempts",
        "detail": "too many tries for this login",
        "code": "too_many_attempts",
    });
    let spellings =
        ["bob@example.com", "BOB@Example.com", " bob@example.com ", "ｂob@example.com", "Bob@example.com\t"];
    let mut tries = 0;
    let refusal = loop {
        let login = spellings[tries % spellings.len()];
        let fields = [("username", login), ("password", WRONG)];
        // Every other one at the other door, each as if by another proxy.
        let ask = match tries % 2 {
            0 => house.with(&token).ask("POST", "/sudo"),
            _ => house.anon().ask("POST", "/tokens"),
        };
        let reply = ask.header("X-Forwarded-For", format!("192.0.2.{tries}")).form(&fields).send().await;
        if reply.status == 429 {
            break reply;
        }
        assert_eq!(reply.json()["code"], "login_failed", "{reply:?}");
        tries += 1;
    };
    assert_eq!(tries, 10);
    refused(&refusal, 429, &too_many);
    assert!(refusal.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|s| s > 0)));

    for login in spellings {
        refused(&house.log_in(login, PASSWORD, None, &[]).send().await, 429, &too_many);
        let sudo =
            house.with(&token).ask("POST", "/sudo").form(&[("username", login), ("password", PASSWORD)]);
        refused(&sudo.send().await, 429, &too_many);
    }
    // The token itself goes on, and so does everybody else.
    assert_eq!(house.with(&token).get("/tokens/self").await.status, 200);
    house.token(&house.ada, &[]).await;
    house.advance(Duration::from_secs(15 * 60));
    house.token(&house.bob, &[]).await;
}

#[tokio::test]
async fn b39_a_long_password_is_refused_and_never_cut() {
    let house = House::new().await;
    let detail = "A password has 1024 bytes at the most";
    for long in ["z".repeat(1025), "ü".repeat(513), "z".repeat(10_000)] {
        let reply = house.log_in(&house.bob.login, &long, None, &[]).send().await;
        bad_request(&reply, "password_too_long", detail);
    }
    let token = house.token(&house.bob, &[]).await;
    let sudo = house.with(&token).ask("POST", "/sudo").form(&[("password", &"z".repeat(1025))]).send().await;
    bad_request(&sudo, "password_too_long", detail);

    let prefix = "y".repeat(70);
    let (right, wrong) = (format!("{prefix}ab"), format!("{prefix}ac"));
    let eve = house.node.person(house.customer, "eve@example.com", "user", &right).await;
    assert_eq!(house.log_in(&eve.login, &wrong, None, &[]).send().await.json()["code"], "login_failed");
    assert_eq!(house.log_in(&eve.login, &prefix, None, &[]).send().await.json()["code"], "login_failed");
    assert_eq!(house.log_in(&eve.login, &right, None, &[]).send().await.status, 200);
}

#[tokio::test]
async fn sudo_is_by_the_owners_password_and_their_tokens_factor() {
    let house = House::new().await;
    let body = json!({
        "msg": "The supplied username/password combination is not correct",
        "code": "login_failed",
    });
    let token = house.token(&house.bob, &[]).await;
    let sudo = |fields: &[(&str, &str)]| house.with(&token).ask("POST", "/sudo").form(fields).send();
    refused(&sudo(&[("password", WRONG)]).await, 403, &body);
    refused(&sudo(&[("username", "ada@example.com"), ("password", PASSWORD)]).await, 403, &body);
    let missing = "Send the password of the person behind this token";
    bad_request(&sudo(&[("username", "bob@example.com")]).await, "password_missing", missing);
    let create = house.with(&token).ask("POST", "/tokens").form(&[("name", "child")]).send().await;
    let needed = json!({ "msg": "You must POST /sudo to access this endpoint", "code": "sudo_required" });
    refused(&create, 403, &needed);

    // Five minutes, and not a moment longer.
    house.sudo(&token).await;
    house.advance(Duration::from_secs(300) - Duration::from_millis(1));
    let create = || house.with(&token).ask("POST", "/tokens").form(&[("name", "child")]).send();
    assert_eq!(create().await.status, 200);
    house.advance(Duration::from_millis(1));
    refused(&create().await, 403, &needed);
}
