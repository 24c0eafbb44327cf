//! The audit log: filtered, one by one, and whole.

use serde_json::{Value, json};

use crate::{
    client::{Client, each_client},
    house::{House, PASSWORD},
};

each_client!(events);

fn events(client: Client) {
    let house = House::new(&[]);
    sudo(&house);
    let Some(steps) = client.run("events", &house, json!({})) else { return };
    let newest = &house.get("/events?filter[event_type]=token.create", &house.root).json()["data"][0];
    let page = &steps.ok("list", 200)["data"];
    assert_eq!(page.as_array().expect("a list").len(), 1);
    for shown in [&page[0], &steps.ok("get", 200)["data"]] {
        assert_eq!(shown["id"], newest["id"]);
        assert_eq!(shown["attributes"]["event_type"], "token.create");
        for id in ["user_id", "token_id", "customer_id"] {
            assert_eq!(shown["attributes"][id], newest["attributes"][id], "{id}");
        }
    }
    steps.refused("get missing", 404);

    let all = steps.ok("list all", 200)["data"].as_array().expect("a list");
    let kind = |event: &Value| event["attributes"]["event_type"].as_str().expect("a kind").to_owned();
    let kinds: Vec<_> = all.iter().map(kind).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"customer.create".into()), Some(&"user.sudo".into())));
    match client {
        Client::Python => steps.assert_unread(&["list all"]),
        Client::Js => steps.assert_unread(&[]),
        Client::Rust => steps.assert_unread(&["list all"]),
    }
}

/// Starts sudo on Ada's first token.
pub(crate) fn sudo(house: &House) {
    let headers = [("Fastly-Key", house.root.as_str()), ("Content-Type", "application/json")];
    house.server.send("POST", "/sudo", &headers, &json!({ "password": PASSWORD }).to_string()).json();
}
