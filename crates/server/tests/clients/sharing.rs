//! Invitations and service authorisations.

use serde_json::json;

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
    // The models of an invitation have neither address nor role.
    let shown = &steps.ok("list plain", 200)["data"][0]["attributes"];
    assert_eq!([&shown["email"], &shown["role"]], ["grace@example.com", "engineer"]);
    steps.assert_unread(&[]);
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
    // The models of an authorisation have no permission, and one of them no service.
    let shown = |step: &str| steps.ok(step, 200)["data"].clone();
    assert_eq!(shown("made")["attributes"]["permission"], "purge_select");
    let whose = |name: &str| shown("made")["relationships"][name]["data"]["id"].clone();
    assert_eq!([whose("service"), whose("user")], [json!(house.shop), json!(grace)]);
    assert_eq!(steps.ok("update", 200)["data"]["id"], made["id"]);
    assert_eq!(shown("updated")["attributes"]["permission"], "full");
    steps.assert_unread(&[]);
    steps.ok("delete", 204);
    steps.refused("get deleted", 404);
    let events = ["create", "update", "delete"].map(|what| format!("service_authorization.{what}"));
    for event in events {
        assert_eq!(house.last_event(&event)["service_id"], json!(house.shop), "{event}");
    }
}
