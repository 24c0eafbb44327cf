//! Automation tokens: made in sudo, used, and refused as soon as they are revoked.

use serde_json::{Value, json};

use crate::{
    client::{Client, each_client},
    events::sudo,
    house::House,
    steps::texts,
};

each_client!(automation_tokens);
each_client!(automation_token_parts);

fn automation_tokens(client: Client) {
    let house = House::new(&[]);
    sudo(&house);
    let Some(steps) = client.run("automation_tokens", &house, json!({})) else { return };
    let made = steps.ok("create", 200);
    assert_eq!([&made["name"], &made["role"], &made["scope"]], ["deploy", "engineer", "global:read"]);
    assert_eq!([&made["services"], &made["customer_id"]], [&json!([house.shop]), &json!(house.customer)]);
    assert_eq!(steps.ok("use", 200)["id"], made["id"]);
    let listed = &steps.ok("list", 200)["data"];
    assert_eq!(texts(listed, "id"), [made["id"].as_str().expect("an id")]);
    assert_eq!(steps.ok("get", 200)["id"], made["id"]);
    steps.refused("get missing", 404);
    steps.ok("revoke", 204);
    assert_eq!(steps.refused("use revoked", 401)["code"], "token_revoked");
    assert!(!house.is_alive(made["access_token"].as_str().expect("a secret")), "{steps}");
    match client {
        Client::Python => {
            steps.assert_unread(&["use", "list", "list unchecked", "get", "create checked"]);
        }
        Client::Js => {
            assert_eq!(steps.ok("get modelled", 200)["id"], json!({}));
            steps.assert_unread(&["list"]);
        }
        Client::Rust => steps.assert_unread(&["list", "get", "create checked"]),
    }
    // What the client could not take in was made all the same.
    let living = house.get("/automation-tokens", &house.root).json();
    assert_eq!(texts(&living["data"], "name").len(), usize::from(client != Client::Js), "{steps}");
}

fn automation_token_parts(client: Client) {
    let house = House::new(&[]);
    sudo(&house);
    let made = made(&house);
    let token = made.as_ref().map_or("nothing", |made| made["id"].as_str().expect("an id"));
    let Some(steps) = client.run("automation_token_parts", &house, json!({ "automation_token": token }))
    else {
        return;
    };
    steps.assert_unread(&[]);
    assert_eq!(steps.ok("services", 200)["data"], json!([house.shop]));
    steps.ok("revoke", 200);
    let secret = made.expect("it can be made")["access_token"].as_str().expect("a secret").to_owned();
    assert!(!house.is_alive(&secret), "{steps}");
}

/// An automation token made past the clients, as soon as there are any.
fn made(house: &House) -> Option<Value> {
    let order =
        json!({ "name": "bot", "role": "engineer", "scope": "global", "services": [house.shop] }).to_string();
    let headers = [("Fastly-Key", house.root.as_str()), ("Content-Type", "application/json")];
    let answer = house.server.send("POST", "/automation-tokens", &headers, &order);
    (answer.status != 404).then(|| answer.json())
}
