//! Privilege: what a token, a machine or a person may not make of themselves, B40–B55.

use std::time::Duration;

use keygate_server::router::table;
use serde_json::{Value, json};

use super::{forbidden, refused};
use crate::{
    estate::Estate,
    house::{House, PASSWORD, Person, Reply, Token},
};

/// An automation token, as a superuser in sudo asks for it.
async fn bot(house: &House, lead: &Token, role: &str, scope: &str) -> Token {
    let wanted = json!({ "name": "bot", "role": role, "scope": scope });
    let reply = house.with(lead).ask("POST", "/automation-tokens").json(&wanted).send().await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let text = |name: &str| reply.json()[name].as_str().expect("a text").to_owned();
    Token { id: text("id"), secret: text("access_token") }
}

/// A token of Ada's, in sudo.
async fn lead(house: &House) -> Token {
    let lead = house.token(&house.ada, &[]).await;
    house.sudo(&lead).await;
    lead
}

async fn put(house: &House, asks: &Token, person: &Person, field: (&str, &str)) -> Reply {
    house.with(asks).ask("PUT", &format!("/user/{}", person.id)).form(&[field]).send().await
}

#[tokio::test]
async fn b40_a_password_that_everybody_tries_first() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let names = Estate::new(&house, house.customer, &lead, "shop").await.names;
    let invitation = format!("/invitation/accept/{}", names["code"]);
    let known = "This password is on the lists of breached ones, among the first that anybody would try";
    let own = "This password is little more than your name, your login or your company's name";
    let bob = house.token(&house.bob, &[]).await;
    let passwords = [("password1", known), ("QWERTY123456", known), ("Acme2027!!", own)];
    for (password, why) in passwords {
        let body = json!({ "msg": "Unprocessable entity", "detail": why, "code": "password_breached" });
        let accept =
            house.anon().ask("PUT", &invitation).json(&json!({ "name": "New", "password": password }));
        refused(&accept.send().await, 422, &body);
        let code = names["reset"].as_str();
        let reset =
            house.anon().ask("POST", "/password/reset").form(&[("code", code), ("password", password)]);
        refused(&reset.send().await, 422, &body);
        let change = [("old_password", PASSWORD), ("new_password", password)];
        let change = house.with(&bob).ask("POST", "/current_user/password").form(&change);
        refused(&change.send().await, 422, &body);
    }
    // Of a password nobody is told anything who does not show the old one.
    let change = [("old_password", "not the old one"), ("new_password", "password1")];
    let change = house.with(&bob).ask("POST", "/current_user/password").form(&change).send().await;
    assert_eq!((change.status, &change.json()["code"]), (400, &json!("login_failed")), "{change:?}");
    // Nothing was used up: the links serve still, and once.
    for (status, code) in [(200, Value::Null), (400, json!("link_invalid"))] {
        let form = [("name", "New"), ("password", "wholly other words")];
        let accept = house.anon().ask("PUT", &invitation).form(&form).send().await;
        assert_eq!((accept.status, &accept.json()["code"]), (status, &code), "{accept:?}");
    }
}

#[tokio::test]
async fn b44_a_second_factor_is_for_a_person_in_sudo() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let plain = house.token(&house.ada, &[]).await;
    let machine = bot(&house, &lead, "engineer", "global").await;
    let minting = bot(&house, &lead, "engineer", "global automation_token:mint").await;
    let body = json!({
        "msg": "You must POST /sudo to access this endpoint",
        "detail": "Only a person who has just shown their password may do this",
        "code": "interactive_only",
    });
    let customer = format!("/customer/{}", house.customer);
    for token in [&plain, &machine, &minting] {
        for method in ["POST", "PUT", "DELETE"] {
            refused(&house.with(token).ask(method, "/current_user/two_factor").send().await, 403, &body);
        }
    }
    refused(&house.with(&plain).delete(&customer).await, 403, &body);
    // Sudo on a token is not sudo on another of the same person, and is over in five minutes.
    house.sudo(&plain).await;
    house.advance(Duration::from_secs(300));
    refused(&house.with(&plain).ask("POST", "/current_user/two_factor").send().await, 403, &body);
    // In it, the law lets them.
    house.sudo(&plain).await;
    let reply = house.with(&plain).ask("POST", "/current_user/two_factor").send().await;
    assert_eq!((reply.status, &reply.json()["code"]), (400, &json!("factor_in_force")), "{reply:?}");
}

#[tokio::test]
async fn b49_a_machine_makes_none_unless_it_was_given_the_right() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let ask = async |token: &Token, body: Value| {
        house.with(token).ask("POST", "/automation-tokens").json(&body).send().await
    };
    let child = json!({ "name": "child", "role": "user" });
    let scope = "The token's scope does not contain automation_token:mint; use one whose scope does";
    for role in ["billing", "engineer", "user"] {
        let machine = bot(&house, &lead, role, "global").await;
        forbidden(&ask(&machine, child.clone()).await, "minting_not_allowed", scope);
    }
    let purges = bot(&house, &lead, "engineer", "purge_all purge_select").await;
    forbidden(&ask(&purges, child.clone()).await, "minting_not_allowed", scope);
    let powerless = bot(&house, &lead, "user", "global automation_token:mint").await;
    let role = "Your role does not allow automation_token:mint; ask a superuser";
    forbidden(&ask(&powerless, child.clone()).await, "minting_not_allowed", role);

    // One that may, makes none wider, and cannot give what it makes a superuser's role.
    let minting = bot(&house, &lead, "engineer", "purge_select automation_token:mint").await;
    let made = ask(&minting, json!({ "name": "child", "role": "engineer", "scope": "purge_select" })).await;
    assert_eq!(made.status, 200, "{made:?}");
    let wider = ask(&minting, json!({ "name": "child", "role": "engineer", "scope": "purge_all" })).await;
    let excess = "A token cannot make a wider one than itself; it lacks: purge:all";
    forbidden(&wider, "scope_exceeds_caller", excess);
    let more = ask(&minting, json!({ "name": "child", "role": "superuser", "scope": "purge_select" })).await;
    assert_eq!((more.status, &more.json()["code"]), (400, &json!("role_invalid")), "{more:?}");
    let billing = ask(&minting, json!({ "name": "child", "role": "billing", "scope": "purge_select" })).await;
    forbidden(
        &billing,
        "scope_exceeds_caller",
        "A token cannot make a wider one than itself; it lacks: billing:read",
    );

    // And none at all where the account does not want it.
    let path = format!("/customer/{}", house.customer);
    let off = |action: &str| format!("Your account has switched {action} off");
    for (makers, refuses_people) in [("superusers", false), ("nobody", true)] {
        let reply =
            house.with(&lead).ask("PUT", &path).form(&[("automation_token_makers", makers)]).send().await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let wanted = json!({ "name": "child", "role": "user", "scope": "purge_select" });
        forbidden(&ask(&minting, wanted.clone()).await, "minting_not_allowed", &off("automation_token:mint"));
        let person = ask(&lead, wanted).await;
        if refuses_people {
            forbidden(&person, "minting_not_allowed", &off("automation_token:create"));
        } else {
            assert_eq!(person.status, 200, "{person:?}");
        }
    }
}

#[tokio::test]
async fn b50_nothing_can_be_rotated_or_exchanged() {
    let words = ["rotate", "exchange", "refresh", "oauth", "renew", "clone_token", "introspect"];
    // They give nothing out; B53 and B61 are with them.
    let known = [
        "POST /oauth/introspect",
        "POST /oauth/revoke",
        "GET /.well-known/oauth-authorization-server",
        "GET /.well-known/oauth-protected-resource",
    ];
    for (on, _) in table().into_iter().filter(|(on, _)| !known.contains(on)) {
        assert!(!words.iter().any(|word| on.contains(word)), "{on}: then its abuse cases are due, B50");
        let of_tokens = on.contains(" /tokens") || on.contains(" /automation-tokens");
        assert!(!of_tokens || !["PUT", "PATCH"].contains(&&on[..on.find(' ').expect("a method")]), "{on}");
    }
    let house = House::new().await;
    let (lead, reads) = (lead(&house).await, house.token(&house.bob, &[("scope", "global:read")]).await);
    let one = format!("/tokens/{}", reads.id);
    let body = json!({ "msg": "Not found", "detail": "There is no such endpoint", "code": "no_rule" });
    let rotations = [("POST", format!("{one}/rotate")), ("POST", "/tokens/self/rotate".to_owned())];
    let exchanges = ["/token", "/oauth/token", "/tokens/exchange"].map(|path| ("POST", path.to_owned()));
    let edits = ["PUT", "PATCH"].map(|method| (method, one.clone()));
    for (method, path) in rotations.into_iter().chain(exchanges).chain(edits) {
        for token in [&reads, &lead] {
            let ask = house.with(token).ask(method, &path).json(&json!({ "scope": "global" }));
            let reply = ask.send().await;
            assert_eq!((reply.status, &reply.json()), (404, &body), "{method} {path}: {reply:?}");
        }
    }
    let shown = house.with(&reads).get("/tokens/self").await.json();
    assert_eq!(shown["scope"], "global:read", "the ceiling that it was made with");
}

#[tokio::test]
async fn b51_a_lower_role_counts_at_once_and_everywhere() {
    let house = House::new().await;
    let (lead, bob) = (lead(&house).await, house.token(&house.bob, &[]).await);
    let service = house.service(super::shop()).await;
    let path = format!("/service/{service}");
    let beside = house.beside().await;
    let there = beside.anon.showing(&bob.secret);
    let comment = [("comment", "mine")];
    assert_eq!(house.with(&bob).ask("PUT", &path).form(&comment).send().await.status, 200);
    assert_eq!(there.ask("PUT", &path).form(&comment).send().await.status, 200);

    assert_eq!(put(&house, &lead, &house.bob, ("role", "billing")).await.status, 200);
    let detail = "Your role does not allow service:update; ask a superuser";
    forbidden(&house.with(&bob).ask("PUT", &path).form(&comment).send().await, "insufficient_role", detail);
    // Another process hears of it within a second.
    let heard = async {
        while there.ask("PUT", &path).form(&comment).send().await.status == 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), heard).await.expect("a second is enough");
    forbidden(&there.ask("PUT", &path).form(&comment).send().await, "insufficient_role", detail);

    // The token was never changed: with the role, what it may do comes back, and no more than its ceiling.
    assert_eq!(put(&house, &lead, &house.bob, ("role", "superuser")).await.status, 200);
    assert_eq!(house.with(&bob).ask("PUT", &path).form(&comment).send().await.status, 200);
    assert_eq!(house.with(&bob).get("/events").await.status, 200);
}

#[tokio::test]
async fn b54_a_key_that_made_one_kind_of_token_makes_no_other() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let order = |path: &str| {
        house
            .with(&lead)
            .ask("POST", path)
            .json(&json!({ "name": "deploy" }))
            .header("Idempotency-Key", "one")
    };
    assert_eq!(order("/automation-tokens").send().await.status, 200);
    let again = order("/automation-tokens").send().await;
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("idempotency_replayed")), "{again:?}");
    let other = json!({
        "msg": "Idempotency-Key was used before",
        "detail": "this Idempotency-Key was used with another body",
        "code": "idempotency_mismatch",
    });
    refused(&order("/tokens").send().await, 422, &other);
}

#[tokio::test]
async fn b55_the_last_superuser_stays_one() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let last = json!({
        "msg": "Conflict",
        "detail": "This is the last superuser; make another one first",
        "code": "last_superuser",
    });
    for field in [("role", "engineer"), ("locked", "true")] {
        refused(&put(&house, &lead, &house.ada, field).await, 409, &last);
    }
    let limited = put(&house, &lead, &house.ada, ("limit_services", "true")).await;
    assert_eq!((limited.status, &limited.json()["code"]), (400, &json!("user_limited_superuser")));
    let factor = async || house.with(&lead).delete("/current_user/two_factor").await;
    refused(&factor().await, 409, &last);

    // Somebody locked does not lead.
    assert_eq!(put(&house, &lead, &house.bob, ("role", "superuser")).await.status, 200);
    assert_eq!(put(&house, &lead, &house.bob, ("locked", "true")).await.status, 200);
    refused(&put(&house, &lead, &house.ada, ("role", "engineer")).await, 409, &last);
    refused(&factor().await, 409, &last);

    assert_eq!(put(&house, &lead, &house.bob, ("locked", "false")).await.status, 200);
    assert_eq!(factor().await.status, 204);
    assert_eq!(put(&house, &lead, &house.ada, ("role", "engineer")).await.status, 200);
    let again = put(&house, &lead, &house.ada, ("role", "superuser")).await;
    forbidden(&again, "not_yours_to_change", "You may change your own name; ask a superuser for the rest");
}

/// What is taken and means nothing would be a role, or a lock, that its sender believes in.
#[tokio::test]
async fn roles_go_before_role_and_a_new_person_has_nothing_to_lock() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let lead = house.with(&lead);
    let invited = |wanted: &Value| {
        let mut attributes = wanted.clone();
        attributes["email"] = attributes["login"].take();
        attributes.as_object_mut().expect("an object").remove("login");
        json!({ "data": { "type": "invitation", "attributes": attributes } })
    };
    let many =
        json!({ "msg": "Bad request", "detail": "There is one role, not several", "code": "role_invalid" });
    let cases = [
        (json!(["billing"]), Some("billing")),
        (json!([]), Some("engineer")),
        (json!(["billing", "user"]), None),
    ];
    for (number, (roles, expected)) in cases.into_iter().enumerate() {
        let wanted =
            json!({ "login": format!("new{number}@example.com"), "role": "engineer", "roles": roles });
        let made = lead.ask("POST", "/user").json(&wanted).send().await;
        let invitation =
            json!({ "login": format!("guest{number}@example.com"), "role": "engineer", "roles": roles });
        let invitation = lead.ask("POST", "/invitations").json(&invited(&invitation)).send().await;
        let change = json!({ "role": "engineer", "roles": roles });
        let changed = lead.ask("PUT", &format!("/user/{}", house.bob.id)).json(&change).send().await;
        match expected {
            None => [made, invitation, changed].iter().for_each(|reply| refused(reply, 400, &many)),
            Some(role) => {
                assert_eq!((made.status, &made.json()["role"]), (200, &json!(role)), "{made:?}");
                assert_eq!((changed.status, &changed.json()["role"]), (200, &json!(role)), "{changed:?}");
                let told = &invitation.json()["data"]["attributes"]["role"];
                assert_eq!((invitation.status, told), (200, &json!(role)), "{invitation:?}");
            }
        }
    }
    for field in ["locked", "require_new_password"] {
        let wanted = json!({ "login": "late@example.com", field: true });
        let reply = lead.ask("POST", "/user").json(&wanted).send().await;
        let detail = format!("There is no field '{field}' here");
        refused(&reply, 400, &json!({ "msg": "Bad request", "detail": detail, "code": "unknown_field" }));
    }
}

/// Was wrong once: whoever is limited to services was told of all of them.
#[tokio::test]
async fn a_limited_person_is_told_of_what_they_reach() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let bob = house.token(&house.bob, &[]).await;
    let told = async || {
        let told = house.with(&bob).get("/verify").await.json();
        told["authorized_permissions"]["service_permissions"].clone()
    };
    assert_eq!(told().await[0]["service_id"], "all_services");
    assert_eq!(put(&house, &lead, &house.bob, ("limit_services", "true")).await.status, 200);
    assert_eq!(told().await, json!([]));
    let shop = house.service(super::shop()).await;
    let relationships = json!({
        "user": { "data": { "type": "user", "id": house.bob.id } },
        "service": { "data": { "type": "service", "id": shop } },
    });
    let attributes = json!({ "permission": "read_only" });
    let data =
        json!({ "type": "service_authorization", "attributes": attributes, "relationships": relationships });
    let given = house.with(&lead).ask("POST", "/service-authorizations").json(&json!({ "data": data }));
    assert_eq!(given.send().await.status, 200);
    assert_eq!(
        told().await,
        json!([{ "service_id": shop, "permissions": ["service:list", "service:read"] }])
    );
}
