//! Policies of protected APIs: applied, changed and taken back while serving, and what refusals at them are explained with.

use keygate_authority::{Authority, Fault};
use keygate_model::PolicyId;
use serde_json::json;

use crate::house::{House, Node, Reply, Token};

const SHOP: &str = r#"
name = "shop"
hosts = ["api.shop.example"]
customers = "all"

[actions]
"order:read" = { read = true }
"order:write" = {}

[scopes]
"shop:read" = ["@read"]
"shop" = ["*"]

[roles]
"engineer" = ["*"]
"clerk" = ["order:read"]

[routes]
"GET /orders/{order}" = { action = "order:read" }
"POST /orders" = { action = "order:write" }
"POST /projects/{project}/orders" = { action = "order:write", service = "project" }
"GET /health" = { public = true }
"GET /new" = { unclassified = true }
"#;

fn authority(house: &House) -> &Authority {
    &house.node.app.authority
}

async fn apply(house: &House, text: &str) -> Result<(), Fault> {
    let app = &house.node.app;
    let id = PolicyId::from_bytes(app.rng.bytes().expect("chance"));
    app.authority.apply_policy(&app.local_origin(), id, text.to_owned()).await.map(|_| ())
}

/// What nginx is told about a request to the shop.
async fn at(node: &Node, secret: &str, method: &str, path: &str) -> Reply {
    let caller = if secret.is_empty() { node.anon.clone() } else { node.anon.showing(secret) };
    let ask = caller.ask("GET", "/authz/auth-request").header("X-Original-Method", method);
    let ask = ask.header("X-Original-URL", format!("https://api.shop.example{path}"));
    ask.header("X-Forwarded-For", "192.0.2.1").send().await
}

async fn at_shop(house: &House, token: &Token, method: &str, path: &str) -> (u16, Option<String>) {
    let reply = at(&house.node, &token.secret, method, path).await;
    assert_eq!(reply.body, "", "never a body");
    (reply.status, reply.header("x-authz-reason").map(str::to_owned))
}

fn allowed() -> (u16, Option<String>) {
    (200, None)
}

fn refused(code: &str) -> (u16, Option<String>) {
    (403, Some(code.to_owned()))
}

#[tokio::test]
async fn a_policy_acts_at_once_and_so_does_its_change_and_its_end() {
    let house = House::new().await;
    let bob = house.token(&house.bob, &[]).await;
    assert_eq!(at_shop(&house, &bob, "GET", "/orders/1").await, refused("no_rule"));
    apply(&house, SHOP).await.expect("a policy");
    assert_eq!(at_shop(&house, &bob, "GET", "/orders/1").await, allowed());
    assert_eq!(at_shop(&house, &bob, "HEAD", "/orders/1").await, allowed());
    assert_eq!(at_shop(&house, &bob, "GET", "/new").await, refused("unclassified"));
    assert_eq!(at_shop(&house, &bob, "DELETE", "/orders/1").await, refused("no_rule"));
    assert_eq!(at_shop(&house, &bob, "get", "/orders/1").await, refused("no_rule"));
    assert_eq!(at(&house.node, "", "GET", "/health").await.status, 200);

    // Made while the policy is in force, with a scope of its own.
    let reader = house.token(&house.bob, &[("scope", "shop:read")]).await;
    assert_eq!(at_shop(&house, &reader, "GET", "/orders/1").await, allowed());
    assert_eq!(at_shop(&house, &reader, "POST", "/orders").await, refused("insufficient_scope"));
    assert_eq!(
        house.with(&reader).get("/service").await.status,
        403,
        "of Keygate's own, nothing more than itself"
    );
    assert_eq!(house.with(&reader).get("/tokens/self").await.status, 200);

    let without = SHOP.replace("\"GET /orders/{order}\" = { action = \"order:read\" }\n", "");
    apply(&house, &without).await.expect("the policy changes");
    assert_eq!(at_shop(&house, &reader, "GET", "/orders/1").await, refused("no_rule"));

    let origin = house.node.app.local_origin();
    authority(&house).remove_policy(&origin, "shop").await.expect("the policy goes");
    assert_eq!(at_shop(&house, &bob, "GET", "/health").await, refused("no_rule"));
    assert_eq!(house.with(&bob).get("/tokens/self").await.status, 200);
    // A scope that means nothing any more is nothing, and nobody gets it anew.
    assert_eq!(house.with(&reader).get("/service").await.json()["code"], "insufficient_scope");
    let denied = house.log_in(&house.bob.login, crate::house::PASSWORD, None, &[("scope", "shop:read")]);
    assert_eq!(denied.send().await.json()["code"], "scope_invalid");

    let kinds: Vec<String> = {
        let db = rusqlite::Connection::open(house.db()).expect("the database");
        let mut select = db
            .prepare("SELECT kind FROM events WHERE kind LIKE 'policy.%' ORDER BY position")
            .expect("events");
        let kinds = select.query_map([], |row| row.get(0)).expect("rows");
        kinds.collect::<Result<_, _>>().expect("texts")
    };
    assert_eq!(kinds, ["policy.apply", "policy.apply", "policy.remove"]);
    assert!(authority(&house).audit().await.expect("an audit").bad.is_empty());
}

#[tokio::test]
async fn it_reaches_a_server_beside_and_is_there_after_a_restart() {
    let house = House::new().await;
    let bob = house.token(&house.bob, &[]).await;
    let beside = house.beside().await;
    apply(&house, SHOP).await.expect("a policy");
    let mut status = 0;
    for _ in 0..100 {
        status = at(&beside, &bob.secret, "GET", "/orders/1").await.status;
        if status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(status, 200, "the other server heard of it");
    let later = house.beside().await;
    assert_eq!(
        at(&later, &bob.secret, "GET", "/orders/1").await.status,
        200,
        "a server that starts knows it"
    );
    assert_eq!(later.app.authority.policy().apis().len(), 1);
}

#[tokio::test]
async fn one_customers_api_is_nowhere_for_another() {
    let house = House::new().await;
    let bob = house.token(&house.bob, &[]).await;
    let stranger = keygate_model::CustomerId::from_bits(99);
    apply(&house, &SHOP.replace("\"all\"", &format!("[\"{stranger}\"]"))).await.expect("a policy");
    assert_eq!(at_shop(&house, &bob, "GET", "/orders/1").await, refused("no_rule"));
    apply(&house, &SHOP.replace("\"all\"", &format!("[\"{}\"]", house.customer))).await.expect("a policy");
    assert_eq!(at_shop(&house, &bob, "GET", "/orders/1").await, allowed());
}

#[tokio::test]
async fn what_is_wrong_or_fails_its_cases_is_not_applied() {
    let house = House::new().await;
    let bob = house.token(&house.bob, &[]).await;
    apply(&house, SHOP).await.expect("a policy");
    let case = "[[cases]]\nask = \"POST /orders\"\nscope = \"shop:read\"\nexpect = \"allow\"\n";
    for (text, why) in [
        (format!("{SHOP}{case}"), "insufficient_scope"),
        (SHOP.replace("order:write\" }", "order:rite\" }"), "order:rite"),
        (SHOP.replace("\"shop\"\nhosts", "\"other\"\nhosts"), "api.shop.example"),
        (format!("{SHOP}\n\"GET /orders/{{id}}\" = {{ public = true }}"), "GET /orders/{"),
        (String::new(), "name"),
    ] {
        let fault = apply(&house, &text).await.expect_err("it is wrong").to_string();
        assert!(fault.contains(why), "{fault}");
    }
    assert_eq!(at_shop(&house, &bob, "GET", "/orders/1").await, allowed(), "the one before is in force");
    assert_eq!(authority(&house).policies().await.expect("policies").len(), 1);
}

#[tokio::test]
async fn what_it_would_take_from_whom_is_known_before() {
    let house = House::new().await;
    let bob = house.token(&house.bob, &[("name", "used")]).await;
    let quiet = house.token(&house.bob, &[("name", "quiet"), ("scope", "purge_all")]).await;
    let (app, now) = (&house.node.app, house.now());
    let impact = |text: String| app.authority.policy_impact(None, Some(text), now);
    let first = impact(SHOP.to_owned()).await.expect("an impact");
    assert_eq!(first.added.len(), 5);
    let gaining: Vec<_> = first.gaining.iter().map(|token| token.token.to_string()).collect();
    assert!(gaining.contains(&bob.id) && !gaining.contains(&quiet.id), "{gaining:?}");
    assert!(first.losing.is_empty());

    apply(&house, SHOP).await.expect("a policy");
    assert_eq!(at_shop(&house, &bob, "GET", "/orders/1").await, allowed());
    house.with(&bob).get("/tokens").await; // Lists tokens, and so writes the marks of use.
    let without = SHOP.replace("\"engineer\" = [\"*\"]", "\"engineer\" = [\"order:write\"]");
    let second = impact(without).await.expect("an impact");
    let [lost] = second.losing.as_slice() else { panic!("one token loses something: {second:?}") };
    assert_eq!((lost.token.to_string(), lost.name.as_str()), (bob.id.clone(), "used"));
    assert_eq!(lost.routes, ["api.shop.example GET /orders/{order}"]);
    assert_eq!(lost.used_at.map(|at| at.seconds()), Some(now.seconds()));
    let gone = app.authority.policy_impact(Some("shop"), None, now).await.expect("an impact");
    assert_eq!((gone.removed.len(), gone.losing.len()), (5, 1));
}

#[tokio::test]
async fn a_refusal_is_explained_to_its_owner_and_to_nobody_else() {
    let house = House::new().await;
    apply(&house, SHOP).await.expect("a policy");
    let reader = house.token(&house.bob, &[("scope", "shop:read"), ("name", "reader")]).await;
    let bob = house.token(&house.bob, &[]).await;
    let reply = at(&house.node, &reader.secret, "POST", "/orders").await;
    let id = reply.header("x-authz-id").expect("an id").to_owned();
    let shown = house.with(&bob).get(&format!("/denials/{id}")).await;
    let body = shown.json();
    assert_eq!((shown.status, &body["code"]), (200, &json!("insufficient_scope")), "{shown:?}");
    assert_eq!(body["route"], "api.shop.example POST /orders");
    assert_eq!(body["action"], "shop/order:write");
    assert_eq!(
        (&body["value"], &body["grant"]),
        (&json!("shop:read"), &json!("a token with the scope shop"))
    );
    assert_eq!(body["token"]["name"], "reader");

    let revoked = house.with(&reader).ask("DELETE", "/tokens/self").send().await;
    assert_eq!(revoked.status, 204);
    let reply = at(&house.node, &reader.secret, "GET", "/orders/1").await;
    assert_eq!((reply.status, reply.header("x-authz-reason")), (401, Some("token_unknown")));
    let id = reply.header("x-authz-id").expect("an id").to_owned();
    let body = house.with(&bob).get(&format!("/denials/{id}")).await.json();
    assert_eq!(body["grant"], "a new token: this one was revoked");

    let ada = house.token(&house.ada, &[]).await;
    let reply = at(&house.node, &ada.secret, "GET", "/new").await;
    let id = reply.header("x-authz-id").expect("an id").to_owned();
    assert_eq!(house.with(&bob).get(&format!("/denials/{id}")).await.status, 404, "not one's own");
    assert_eq!(house.with(&ada).get(&format!("/denials/{id}")).await.status, 200);
    for odd in ["x", "", &id[1..]] {
        assert_eq!(house.with(&ada).get(&format!("/denials/{odd}")).await.status, 404, "{odd:?}");
    }
}
