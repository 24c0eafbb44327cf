//! Services: listed, found, made, renamed, deleted.

use serde_json::json;

use crate::{
    client::{Client, each_client},
    house::House,
    steps::texts,
};

each_client!(services);

fn services(client: Client) {
    let house = House::new(&[]);
    let Some(steps) = client.run("services", &house, json!({})) else { return };
    steps.assert_unread(&[]);
    assert_eq!(texts(steps.ok("list", 200), "id"), [&house.shop], "one to the page, by name, backwards");
    assert_eq!(steps.ok("search", 200)["id"], json!(house.blog));
    assert_eq!(steps.ok("detail", 200)["version"]["number"], 1);
    assert_eq!(texts(steps.ok("domains", 200), "name"), ["shop.example"]);
    let made = steps.ok("create", 200);
    assert_eq!([&made["name"], &made["comment"], &made["type"]], ["news", "all of it", "vcl"]);
    for (step, name) in [("update", "paper"), ("get", "paper")] {
        assert_eq!([&steps.ok(step, 200)["id"], &steps.ok(step, 200)["name"]], [&made["id"], &json!(name)]);
    }
    assert_eq!(steps.ok("delete", 200)["status"], "ok");
    steps.refused("get deleted", 400);
    steps.refused("get missing", 404);
    assert_eq!(house.service_names(), ["shop", "blog"]);
    for event in ["service.create", "service.update", "service.delete"] {
        assert_eq!(house.last_event(event)["service_id"], made["id"]);
    }
}
