//! Invitations and service authorisations.

use serde_json::{Value, json};

use crate::{
    client::{Client, each_client},
    events::sudo,
    house::{House, PASSWORD},
    steps::texts,
};

each_client!(invitations);
each_client!(service_authorizations);

fn invitations(client: Client) {
    let house = House::new(&[]);
    sudo(&house);
    let Some(steps) = client.run("invitations", &house, json!({})) else { return };
    let made = &steps.ok("create", 200)["data"];
    assert_eq!(texts(&steps.ok("list", 200)["data"], "id"), [made["id"].as_str().expect("an id")]);
    // Rust's model of an invitation has neither address nor role.
    if client != Client::Rust {
        assert_eq!(
            [&made["attributes"]["email"], &made["attributes"]["role"]],
            ["grace@example.com", "engineer"]
        );
    }
    steps.ok("delete", 204);
    steps.refused("delete again", 404);
    let listed = house.get("/invitations", &house.root).json();
    assert_eq!(listed["data"], json!([]), "it was deleted");
    assert_eq!(house.last_event("invitation.sent")["user_id"], json!(house.ada));
}

fn service_authorizations(client: Client) {
    let house = House::new(&[]);
    sudo(&house);
    let grace = house.home.user(&house.customer, "grace@example.com", "engineer", PASSWORD);
    let more = json!({ "engineer": grace });
    let Some(steps) = client.run("service_authorizations", &house, more) else { return };
    let made = &steps.ok("create", 200)["data"];
    assert_eq!(steps.ok("get", 200)["data"]["id"], made["id"]);
    assert_eq!(texts(&steps.ok("list", 200)["data"], "id"), [made["id"].as_str().expect("an id")]);
    // Rust's model of an authorisation has no permission.
    if client != Client::Rust {
        let permission = |shown: &Value| shown["attributes"]["permission"].clone();
        assert_eq!(permission(made), "purge_select");
        assert_eq!(permission(&steps.ok("update", 200)["data"]), "full");
    }
    steps.ok("delete", 204);
    steps.refused("get deleted", 404);
    let events = ["create", "update", "delete"].map(|what| format!("service_authorization.{what}"));
    for event in events {
        assert_eq!(house.last_event(&event)["service_id"], json!(house.shop), "{event}");
    }
}
