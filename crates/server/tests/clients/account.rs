//! People, the customer, and its contacts.

use serde_json::json;

use crate::{
    client::{Client, each_client},
    house::{House, LOGIN, PASSWORD},
    steps::texts,
};

const NEW_PASSWORD: &str = "another horse & another battery";

const LAST_PASSWORD: &str = "the last horse & the last battery";

each_client!(current);
each_client!(users);
each_client!(password);
each_client!(customer);
each_client!(contacts);

fn current(client: Client) {
    let house = House::new(&[]);
    let Some(steps) = client.run("current", &house, json!({})) else { return };
    steps.assert_unread(&[]);
    let user = steps.ok("user", 200);
    assert_eq!([&user["id"], &user["customer_id"]], [&json!(house.ada), &json!(house.customer)]);
    assert_eq!([&user["login"], &user["role"]], [LOGIN, "superuser"]);
    assert_eq!(user["two_factor_auth_enabled"], true);
    let customer = steps.ok("customer", 200);
    let whose = [&json!(house.customer), &json!("Acme"), &json!(house.ada)];
    assert_eq!([&customer["id"], &customer["name"], &customer["owner_id"]], whose);
}

fn users(client: Client) {
    let house = House::new(&[]);
    super::events::sudo(&house);
    let Some(steps) = client.run("users", &house, json!({})) else { return };
    steps.assert_unread(&[]);
    let made = steps.ok("create", 200);
    assert_eq!([&made["login"], &made["name"], &made["role"]], ["grace@example.com", "grace", "engineer"]);
    assert_eq!(made["customer_id"], json!(house.customer));
    assert_eq!(steps.ok("get", 200)["id"], made["id"]);
    let changed = steps.ok("update", 200);
    assert_eq!(
        [&changed["id"], &changed["name"], &changed["role"]],
        [&made["id"], &json!("Grace"), &json!("user")]
    );
    assert_eq!(texts(steps.ok("list", 200), "login"), [LOGIN, "grace@example.com"]);
    assert_eq!(steps.ok("delete", 200)["status"], "ok");
    steps.refused("get deleted", 404);
    for event in ["user.create", "user.update", "user.destroy"] {
        assert_eq!(house.last_event(event)["admin"], false, "Ada did it, not the operator");
    }
}

fn password(client: Client) {
    let house = House::new(&[]);
    // Whoever has a second factor cannot say its code through these clients.
    let bob = house.home.user(&house.customer, "bob@example.com", "engineer", PASSWORD);
    let more = json!({ "login": "bob@example.com", "new_password": NEW_PASSWORD });
    let Some(steps) = client.run("password", &house, more) else { return };
    steps.assert_unread(&[]);
    assert!(matches!(steps.status("wrong"), Some(400 | 401 | 403)), "{steps}");
    assert_eq!(steps.ok("change", 200)["id"], json!(bob));
    let logs_in = |password: &str| house.log_in("bob@example.com", password).status;
    assert_eq!([logs_in(PASSWORD), logs_in(NEW_PASSWORD)], [400, 200]);
    assert_eq!(steps.ok("reset", 200)["status"], "ok");
    let [letter] = &house.letters()[..] else { panic!("one letter: {:?}", house.letters()) };
    assert_eq!(letter["to"], "bob@example.com");
    assert_eq!(house.reset(letter, LAST_PASSWORD), 200);
    assert_eq!([logs_in(NEW_PASSWORD), logs_in(LAST_PASSWORD)], [400, 200]);
}

fn customer(client: Client) {
    let house = House::new(&[]);
    super::events::sudo(&house);
    let Some(steps) = client.run("customer", &house, json!({})) else { return };
    steps.assert_unread(&[]);
    let shown = steps.ok("get", 200);
    assert_eq!([&shown["id"], &shown["name"]], [&json!(house.customer), &json!("Acme")]);
    assert_eq!(steps.ok("update", 200)["name"], "Acme & Sons");
    assert_eq!(house.get("/current_customer", &house.root).json()["name"], "Acme & Sons");
    steps.refused("get missing", 404);
}

/// The recorded answers are JSON:API, which these clients' models are not.
fn contacts(client: Client) {
    let house = House::new(&[]);
    super::events::sudo(&house);
    let Some(steps) = client.run("contacts", &house, json!({})) else { return };
    let listed = steps.ok("list", 200)["data"].as_array().expect("a list").clone();
    assert_eq!(listed.len(), 1, "{steps}");
    let contact = &listed[0]["attributes"];
    assert_eq!([&contact["name"], &contact["email"]], ["Operations", "ops@example.com"]);
    steps.ok("create", 201);
    steps.refused("delete again", 404);
    let path = format!("/customer/{}/contacts", house.customer);
    assert_eq!(house.get(&path, &house.root).json()["data"], json!([]), "it was deleted");
    match client {
        Client::Python => steps.assert_unread(&["list", "list unchecked", "delete"]),
        Client::Js => {
            steps.ok("delete", 204);
            steps.assert_unread(&["list"]);
        }
        Client::Rust => steps.assert_unread(&["list", "delete"]),
    }
}
