//! B45 to B48: what may be wanted of a new token.

use keygate_authority::service::NewService;
use serde_json::{Map, Value, json};

use super::{bad_request, forbidden, refused};
use crate::house::{Ask, House, PASSWORD, Reply, Token};

async fn services(house: &House) -> [String; 2] {
    let new = |name: &str| NewService { name: name.to_owned(), ..NewService::default() };
    [house.service(new("shop")).await, house.service(new("blog")).await]
}

/// A token in sudo.
async fn in_sudo(house: &House, more: &[(&str, &str)]) -> Token {
    let token = house.token(&house.bob, more).await;
    house.sudo(&token).await;
    token
}

/// The same wish by form and by JSON, of a token in sudo and by password: four answers that must be the same.
async fn everywhere(house: &House, asks: &Token, name: &str, value: &str) -> [Reply; 4] {
    let by_password = || house.anon().ask("POST", "/tokens");
    let by_token = || house.with(asks).ask("POST", "/tokens");
    let who = [("username", house.bob.login.as_str()), ("password", PASSWORD)];
    let json = |more: &[(&str, &str)]| {
        let fields = [more, &[(name, value)]].concat();
        Value::Object(
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>(),
        )
    };
    let asks: [Ask; 4] = [
        by_token().form(&[(name, value)]),
        by_token().json(&json(&[])),
        by_password().form(&[who[0], who[1], (name, value)]),
        by_password().json(&json(&who)),
    ];
    let [one, two, three, four] = asks.map(Ask::send);
    [one.await, two.await, three.await, four.await]
}

async fn wish(house: &House, asks: &Token, body: Value) -> Reply {
    house.with(asks).ask("POST", "/tokens").json(&body).send().await
}

fn made(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

#[tokio::test]
async fn b45_a_token_makes_none_wider_than_itself() {
    let house = House::new().await;
    let [shop, blog] = services(&house).await;
    let until = "2027-02-01T00:00:00Z";
    let asks = in_sudo(&house, &[("services[]", &shop), ("expires_at", until)]).await;
    let wider = |what: &str| format!("A token cannot make a wider one than itself; it lacks: {what}");
    let services = wider("services that the token that asks is not limited to");
    for wanted in [json!([blog]), json!([shop, blog])] {
        let reply = wish(&house, &asks, json!({ "services": wanted })).await;
        forbidden(&reply, "scope_exceeds_caller", &services);
    }
    let form = house.with(&asks).ask("POST", "/tokens").form(&[("services[]", &shop), ("services[]", &blog)]);
    forbidden(&form.send().await, "scope_exceeds_caller", &services);
    let longer = wish(&house, &asks, json!({ "expires_at": "2027-02-01T00:00:01Z" })).await;
    forbidden(&longer, "scope_exceeds_caller", &wider("a longer life than the token that asks"));

    // What is not said is not more than the token that asks has.
    let child = made(&wish(&house, &asks, json!({ "scope": "purge_select" })).await);
    assert_eq!((&child["services"], &child["expires_at"]), (&json!([shop]), &json!(until)));
    assert_eq!((&child["scope"], &child["service_id"]), (&json!("purge_select"), &json!(shop)));
}

#[tokio::test]
async fn b45_a_token_that_may_not_make_any() {
    let house = House::new().await;
    let read_only = house.token(&house.bob, &[("scope", "global:read")]).await;
    let reply = wish(&house, &read_only, json!({ "scope": "global" })).await;
    let body =
        json!({ "msg": "Read only tokens are not allowed to access this endpoint", "code": "read_only" });
    refused(&reply, 403, &body);
    refused(
        &house.with(&read_only).ask("POST", "/sudo").form(&[("password", PASSWORD)]).send().await,
        403,
        &body,
    );
    for scope in ["purge_select", "purge_all", "purge_all purge_select"] {
        let purges = house.token(&house.bob, &[("scope", scope)]).await;
        let detail = "The token's scope does not contain token:create; use one whose scope does";
        forbidden(&wish(&house, &purges, json!({ "scope": scope })).await, "insufficient_scope", detail);
    }
}

#[tokio::test]
async fn b46_a_scope_that_says_nothing_or_too_much() {
    let house = House::new().await;
    let asks = in_sudo(&house, &[]).await;
    let invalid = |why: &str| json!({ "msg": "invalid_scope", "detail": why, "code": "scope_invalid" });
    let unknown = invalid(
        "Scope must be one or more of: automation_token:mint, feed, global, global:read, introspect, purge_all, purge_select",
    );
    for scope in ["", " ", "root", "GLOBAL", "global root", "global  purge_all", "global,purge_all", "*"] {
        for reply in everywhere(&house, &asks, "scope", scope).await {
            refused(&reply, 400, &unknown);
        }
    }
    let empty = invalid("An empty scope grants nothing; name one");
    let text = invalid("A scope is text: one name, or several with a space between them");
    let both = invalid("Send scope or scopes, not both");
    for (body, answer) in [
        (json!({ "scope": [] }), &empty),
        (json!({ "scopes": [] }), &empty),
        (json!({ "scope": [1] }), &empty),
        (json!({ "scope": null }), &text),
        (json!({ "scopes": null }), &text),
        (json!({ "scope": {} }), &text),
        (json!({ "scope": true }), &text),
        (json!({ "scope": "global", "scopes": ["global"] }), &both),
        (json!({ "scope": [""] }), &unknown),
    ] {
        refused(&wish(&house, &asks, body).await, 400, answer);
    }
    let child = made(&wish(&house, &asks, json!({ "scopes": ["purge_all", "purge_select"] })).await);
    assert_eq!(child["scope"], "purge_all purge_select");
}

#[tokio::test]
async fn b46_a_field_twice_or_unknown() {
    let house = House::new().await;
    let asks = in_sudo(&house, &[]).await;
    let send = |kind: &str, body: &str| house.with(&asks).ask("POST", "/tokens").body(kind, body).send();
    let twice = "The field 'scope' comes twice";
    let json = send("application/json", r#"{"scope":"purge_all","name":"x","scope":"global"}"#).await;
    bad_request(&json, "duplicate_field", twice);
    let form = send("application/x-www-form-urlencoded", "scope=purge_all&name=x&scope=global").await;
    bad_request(&form, "duplicate_field", twice);
    for field in ["role", "user_id", "customer_id", "is_admin", "Scope", "services[0]"] {
        for reply in everywhere(&house, &asks, field, "superuser").await {
            bad_request(&reply, "unknown_field", &format!("There is no field '{field}' here"));
        }
    }
    for field in ["a field of many words, or a password", "<script>", "é"] {
        for reply in everywhere(&house, &asks, field, "x").await {
            bad_request(&reply, "unknown_field", "There is no field '…' here");
        }
    }
    for (body, column) in [("[]", 0), ("\"a password\"", 12), ("{", 1), ("{}{}", 3), ("{\"a\":\"b", 7)] {
        let reply = send("application/json", body).await;
        let detail = format!("The body is not a JSON object: look at line 1 column {column}");
        bad_request(&reply, "body_invalid", &detail);
    }
}

#[tokio::test]
async fn b47_no_services_listed_means_all_of_those_that_ask() {
    let house = House::new().await;
    let [shop, _] = services(&house).await;
    let free = in_sudo(&house, &[]).await;
    let limited = in_sudo(&house, &[("services[]", &shop)]).await;
    for (asks, all) in [(&free, json!([])), (&limited, json!([shop]))] {
        // The contract writes "all" as an empty list, and clients send one.
        for body in
            [json!({}), json!({ "services": [] }), json!({ "services": null }), json!({ "services": [""] })]
        {
            assert_eq!(made(&wish(&house, asks, body).await)["services"], all);
        }
        for field in ["services[]", "services", "service_id"] {
            let reply = house.with(asks).ask("POST", "/tokens").form(&[(field, "")]).send().await;
            assert_eq!(made(&reply)["services"], all, "{field}");
        }
    }
    let every = house.token(&house.bob, &[("services[]", "")]).await;
    let shown = house.with(&every).get("/tokens/self").await.json();
    assert_eq!((&shown["services"], &shown["service_id"]), (&json!([]), &json!(null)));
}

#[tokio::test]
async fn b47_services_that_are_none() {
    let house = House::new().await;
    let asks = in_sudo(&house, &[]).await;
    for id in ["4vjQmcqGgQXyCx7MnPqVLk", "x y", "*", "0shop"] {
        let detail = format!("Cannot find service '{id}'");
        let body = json!({ "msg": "Unprocessable entity", "detail": detail, "code": "service_not_found" });
        for field in ["services[]", "services", "service_id"] {
            for reply in everywhere(&house, &asks, field, id).await {
                refused(&reply, 422, &body);
            }
        }
    }
    let list = wish(&house, &asks, json!({ "services": [1] })).await;
    bad_request(&list, "field_invalid", "The field 'services' is a list of texts");
}

#[tokio::test]
async fn b48_an_end_that_cannot_be() {
    let house = House::new().await;
    let asks = in_sudo(&house, &[]).await;
    let invalid =
        |why: &str| json!({ "msg": "Unprocessable entity", "detail": why, "code": "expiry_invalid" });
    let shape = invalid("expires_at is an ISO 8601 time with an offset, like 2030-07-28T19:24:50+00:00");
    let past = invalid("expires_at is in the past");
    let far = invalid("expires_at is more than ten years ahead, the most there is");
    for (at, answer) in [
        ("2027-01-15T08:00:00Z", &past),
        ("2020-01-01T00:00:00Z", &past),
        ("2037-01-25T00:00:00Z", &far),
        ("9999-12-30T00:00:00Z", &far),
        // Beyond what any calendar here reads.
        ("9999-12-31T23:59:59Z", &shape),
        ("-1", &shape),
        ("-2027-01-15T08:00:00Z", &shape),
        ("1900000000", &shape),
        ("", &shape),
        ("never", &shape),
        ("2027-02-30T00:00:00Z", &shape),
        ("2027-06-01T00:00:00", &shape),
        ("99999-01-01T00:00:00Z", &shape),
    ] {
        for reply in everywhere(&house, &asks, "expires_at", at).await {
            refused(&reply, 422, answer);
        }
    }
    for number in [json!(-1), json!(1_900_000_000), json!(1e300), json!(true), json!([])] {
        refused(&wish(&house, &asks, json!({ "expires_at": number })).await, 422, &shape);
    }
    let child = made(&wish(&house, &asks, json!({ "expires_at": "2027-07-28T21:24:50+02:00" })).await);
    assert_eq!(child["expires_at"], "2027-07-28T19:24:50Z");
    assert_eq!(made(&wish(&house, &asks, json!({ "expires_at": null })).await)["expires_at"], json!(null));
}
