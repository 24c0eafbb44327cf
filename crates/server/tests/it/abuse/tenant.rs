//! Two customers: whose a request is, says its credential alone, B56–B65. What ids of another customer are answered, is in
//! `tenants.rs`.

use keygate_model::{Permit, customer::CustomerState};
use serde_json::{Value, json};

use super::refused;
use crate::{
    estate::Estate,
    house::{House, PASSWORD, Token},
    tenants::never,
};

/// Ada's and Boris's tokens, in sudo, and what Boris's customer has.
async fn two(house: &House) -> (Token, Token, Estate) {
    let ada = house.token(&house.ada, &[]).await;
    house.sudo(&ada).await;
    let (customer, _, boris) = house.neighbour().await;
    let estate = Estate::new(house, customer, &boris, "beta").await;
    (ada, boris, estate)
}

async fn events(house: &House, token: &Token) -> Value {
    house.with(token).get("/events?page[size]=1000").await.json()["data"].clone()
}

#[tokio::test]
async fn b62_the_others_service_behind_a_proxy() {
    let house = House::new().await;
    let (ada, boris, theirs) = two(&house).await;
    let before = (events(&house, &ada).await, events(&house, &boris).await);
    let ask = async |service: &str| {
        let reply = house.with(&ada).proxied("POST", &format!("/service/{service}/purge_all")).send().await;
        let same = |name: &str| name != "date" && name != "x-authz-id";
        let headers: Vec<_> = reply.headers.into_iter().filter(|(name, _)| same(name)).collect();
        (reply.status, headers, reply.body)
    };
    let id = &theirs.names["service"];
    let foreign = ask(id).await;
    assert_eq!(foreign.0, 403);
    assert!(
        foreign.1.contains(&("x-authz-reason".to_owned(), "service_not_found".to_owned())),
        "{foreign:?}"
    );
    assert!(!foreign.1.iter().any(|(name, _)| name.starts_with("x-auth-")), "names nobody: {foreign:?}");
    assert_eq!(foreign, ask(&never(id)).await);
    assert_eq!(
        (events(&house, &ada).await, events(&house, &boris).await),
        before,
        "nothing happened in either"
    );
}

#[tokio::test]
async fn b63_nothing_but_the_credential_says_whose_a_request_is() {
    let house = House::new().await;
    let (ada, _, theirs) = two(&house).await;
    let (own, other) = (house.customer.to_string(), theirs.customer.to_string());
    let names = [
        "X-Tenant",
        "X-Tenant-Id",
        "X-Customer-Id",
        "Fastly-Customer-Id",
        "X-Auth-Customer-Id",
        "X-Forwarded-Host",
    ];
    for name in names {
        let reply = house.with(&ada).ask("GET", "/current_customer").header(name, &other).send().await;
        assert_eq!((reply.status, &reply.json()["id"]), (200, &json!(own)), "{name}: {reply:?}");
    }
    for query in ["customer", "customer_id", "tenant"] {
        let reply = house.with(&ada).get(&format!("/current_customer?{query}={other}")).await;
        assert_eq!((reply.status, &reply.json()["id"]), (200, &json!(own)), "{query}: {reply:?}");
    }
    // `customer` is a field of Fastly's old command line, and means nothing.
    let made =
        house.with(&ada).ask("POST", "/tokens").form(&[("name", "x"), ("customer", &other)]).send().await;
    assert_eq!((made.status, &made.json()["customer_id"]), (200, &json!(own)), "{made:?}");
    let form = [("username", house.bob.login.as_str()), ("password", PASSWORD), ("customer", &other)];
    let made = house.anon().ask("POST", "/tokens").form(&form).send().await;
    assert_eq!((made.status, &made.json()["customer_id"]), (200, &json!(own)), "{made:?}");
    let user = [("login", "new@example.com"), ("name", "New"), ("customer_id", &other)];
    let made = house.with(&ada).ask("POST", "/user").form(&user).send().await;
    assert_eq!((made.status, &made.json()["customer_id"]), (200, &json!(own)), "{made:?}");
    for field in ["customer_id", "user_id", "tenant"] {
        let reply =
            house.with(&ada).ask("POST", "/tokens").form(&[("name", "x"), (field, &other)]).send().await;
        let why = format!("There is no field '{field}' here");
        refused(&reply, 400, &json!({ "msg": "Bad request", "detail": why, "code": "unknown_field" }));
    }
}

#[tokio::test]
async fn b64_a_person_is_in_one_customer() {
    let house = House::new().await;
    let (ada, boris, _) = two(&house).await;
    let taken = json!({
        "msg": "Duplicate record",
        "detail": "Duplicate user: 'boris@beta.example'",
        "code": "taken",
    });
    let login = "boris@beta.example";
    for spelling in [login, "BORIS@beta.example"] {
        let user = [("login", spelling), ("name", "Boris"), ("role", "user")];
        refused(&house.with(&ada).ask("POST", "/user").form(&user).send().await, 409, &taken);
        let bob = format!("/user/{}", house.bob.id);
        refused(&house.with(&ada).ask("PUT", &bob).form(&[("login", spelling)]).send().await, 409, &taken);
    }
    // And their role is theirs there, and nothing here.
    let here = format!("/customer/{}/users", house.customer);
    let reply = house.with(&boris).get(&here).await;
    let detail = format!("Cannot find customer '{}'", house.customer);
    refused(&reply, 404, &json!({ "msg": "Record not found", "detail": detail, "code": "not_found" }));
}

#[tokio::test]
async fn b56_a_reset_asked_for_by_another_customer_tells_neither_anything() {
    let house = House::new().await;
    let (ada, boris, theirs) = two(&house).await;
    let ask = async |login: &str| {
        let path = format!("/user/{login}/password/request_reset");
        let reply = house.with(&ada).ask("POST", &path).send().await;
        (reply.status, reply.body)
    };
    let before = events(&house, &ada).await;
    let known = ask(&theirs.names["login"]).await;
    assert_eq!(known, (200, json!({ "status": "ok" }).to_string()));
    assert_eq!(known, ask("nobody@beta.example.com").await);
    // Was wrong once: of a login that nobody has the log told, and of one that somebody elsewhere has it did not.
    assert_eq!(events(&house, &ada).await, before);
    let told = events(&house, &boris).await;
    assert_eq!(told[0]["attributes"]["event_type"], "user.password_reset", "{told:?}");
    assert!(!told[0].to_string().contains(&ada.id), "names the other customer's token: {:?}", told[0]);
    assert!(
        !events(&house, &ada).await.to_string().contains(&theirs.names["login"]),
        "names the other's person"
    );
}

#[tokio::test]
async fn b65_the_operator_stands_in_the_log_of_whom_it_is_about() {
    let house = House::new().await;
    let (ada, boris, theirs) = two(&house).await;
    let before = events(&house, &ada).await;
    let (permit, app) = (Permit::of_the_operator(theirs.customer), &house.node.app);
    for state in [CustomerState::Suspended, CustomerState::Active] {
        app.authority.set_customer_state(&permit, &app.local_origin(), state).await.expect("done");
        assert_eq!(house.with(&ada).get("/tokens/self").await.status, 200);
    }
    let told = events(&house, &boris).await;
    for (at, state) in [(0, "active"), (1, "suspended")] {
        let event = &told[at]["attributes"];
        assert_eq!(event["event_type"], "customer.update", "{event:?}");
        assert_eq!((&event["admin"], &event["actor"]), (&json!(true), &json!("operator")));
        assert_eq!(event["metadata"]["new"]["state"], state);
    }
    assert_eq!(events(&house, &ada).await, before);
}
