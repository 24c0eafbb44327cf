//! Roles, permissions and groups, as far as they can be read.

use serde_json::{Value, json};

use crate::{
    client::{Client, each_client},
    house::House,
    steps::texts,
};

each_client!(roles);
each_client!(permissions);
each_client!(service_groups);
each_client!(user_groups);

/// The JavaScript client has the older routes.
fn roles(client: Client) {
    let house = House::new(&[]);
    let area = if client == Client::Js { "roles" } else { "iam_roles" };
    let Some(steps) = client.run(area, &house, json!({})) else { return };
    let listed = &steps.ok("list", 200)["data"];
    for role in ["superuser", "engineer", "billing", "user"] {
        let known = |shown: &Value| shown["id"] == role || shown["name"] == role;
        assert!(listed.as_array().expect("a list").iter().any(known), "no {role}:\n{steps}");
    }
    assert_eq!(steps.ok("get", 200)["id"], listed[0]["id"]);
}

fn permissions(client: Client) {
    let house = House::new(&[]);
    let Some(steps) = client.run("permissions", &house, json!({})) else { return };
    let listed = steps.ok("list", 200);
    assert!(!texts(listed.get("data").unwrap_or(listed), "name").is_empty(), "{steps}");
}

fn service_groups(client: Client) {
    groups(client, "service_groups");
}

fn user_groups(client: Client) {
    groups(client, "user_groups");
}

fn groups(client: Client, area: &str) {
    let house = House::new(&[]);
    let Some(steps) = client.run(area, &house, json!({})) else { return };
    assert_eq!(steps.ok("list", 200)["data"], json!([]), "{steps}");
    steps.refused("get missing", 404);
}
