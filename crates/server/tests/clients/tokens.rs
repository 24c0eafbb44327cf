//! Tokens: made in sudo, listed, shown, and refused as soon as they are revoked.

use serde_json::json;

use crate::{
    client::{Client, each_client},
    house::{House, PASSWORD},
    steps::{Steps, texts},
};

const BOB: &str = "bob@example.com";

each_client!(tokens);

fn tokens(client: Client) {
    let house = House::new(&[]);
    let bob = house.home.user(&house.customer, BOB, "superuser", PASSWORD);
    let (fresh, _) = by_password(&house, "global");
    let (two_scopes, two_scopes_id) = by_password(&house, "purge_select%20purge_all");
    let more = json!({ "login": BOB, "user": bob, "token": fresh, "two_scopes": two_scopes_id });
    let Some(steps) = client.run("tokens", &house, more) else { return };

    assert_first(&steps, &house, &bob);
    assert_eq!(
        steps.refused("create without sudo", 403)["msg"],
        "You must POST /sudo to access this endpoint"
    );
    assert!(steps.ok("sudo", 200)["expiry_time"].is_string(), "{steps}");
    let made = steps.all_ok("create", 200);
    let ids: Vec<_> = made.iter().map(|token| token["id"].as_str().expect("an id")).collect();
    for token in &made {
        let secret = token["access_token"].as_str().expect("a secret");
        assert!(!house.is_alive(secret), "revoked by the script:\n{steps}");
        assert_eq!(token["scope"], "global");
    }

    for listed in ["list", "list customer"] {
        let listed = steps.ok(listed, 200);
        for id in ids.iter().chain([&two_scopes_id.as_str()]) {
            assert!(texts(listed, "id").contains(id), "{id} is not listed:\n{steps}");
        }
    }
    assert_eq!(steps.ok("self", 200)["user_id"], json!(bob));
    assert_eq!(
        (&steps.ok("get", 200)["id"], &steps.ok("get", 200)["name"]),
        (&json!(ids[0]), &json!("API token"))
    );
    assert_eq!(steps.ok("get two scopes", 200)["scope"], "purge_select purge_all");
    steps.refused("get missing", 404);

    for revoked in ["revoke", "revoke several", "revoke self"] {
        assert!(steps.ok(revoked, 204).is_null(), "{steps}");
    }
    assert_eq!(steps.refused("use revoked", 401)["code"], "token_revoked");
    let ended: Vec<_> = house.events("token.destroy").iter().map(|event| event["token_id"].clone()).collect();
    assert_eq!(ended, ids.iter().map(|id| json!(id)).collect::<Vec<_>>());
    assert!(house.is_alive(&two_scopes), "the others live");

    match client {
        // Among several scopes the type is checked even where it is told not to be.
        Client::Python => steps.assert_unread(&[
            "list",
            "list unchecked",
            "list customer",
            "list customer unchecked",
            "self",
            "get",
            "get two scopes",
            "get two scopes unchecked",
            "create checked",
        ]),
        Client::Js => steps.assert_unread(&[]),
        Client::Rust => steps.assert_unread(&["list", "list customer", "get two scopes"]),
    }
    // What the client could not take in was made all the same.
    let living = house.get("/tokens", &fresh).json();
    assert_eq!(texts(&living, "id").len(), 3 + usize::from(client == Client::Python), "{steps}");
}

/// A first token of Bob's was made by password alone, as `Basic`.
fn assert_first(steps: &Steps, house: &House, bob: &str) {
    assert_eq!(steps.refused("first wrong", 400)["msg"], "invalid_grant");
    let first = steps.ok("first", 200);
    assert_eq!(
        [&first["user_id"], &first["name"], &first["scope"]],
        [&json!(bob), &json!("API token"), &json!("global")]
    );
    assert!(house.is_alive(first["access_token"].as_str().expect("a secret")), "{steps}");
}

/// A token of Bob's, who has no second factor.
fn by_password(house: &House, scope: &str) -> (String, String) {
    let form =
        format!("username={BOB}&password={}&scope={scope}", PASSWORD.replace('&', "%26").replace('=', "%3D"));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let made = house.server.send("POST", "/tokens", &headers, &form).json();
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    (text("access_token"), text("id"))
}
