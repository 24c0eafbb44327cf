//! A resource server with authlib, as docs/oauth.md tells to write it.

use serde_json::{Value, json};

use crate::{
    client::Client,
    house::{House, LOGIN, PASSWORD},
    snippets::snippet,
};

/// Looks at a token, revokes it, and looks again, from an address of its own and from none that is one.
const USE: &str = r#"
import json
shown = os.environ["SHOWN"]
print(json.dumps(look(shown, "192.0.2.7")))
revoke(shown)
revoke(shown)
print(json.dumps(look(shown, "192.0.2.7")))
try:
    look(shown, "nowhere")
except Exception as error:
    print(json.dumps(error.response.json()))
"#;

#[test]
fn a_resource_server_looks_and_revokes() {
    let house = House::new(&[]);
    let made = |path: &str, body: Value| {
        let reply = house.send("POST", path, &house.root, &body);
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    };
    made("/sudo", json!({ "password": PASSWORD }));
    let own = made("/automation-tokens", json!({ "name": "shop-api", "scope": "introspect" }));
    let shown = made("/tokens", json!({ "name": "shown", "scope": "purge_select" }));
    let secrets = json!({ "KEYGATE_TOKEN": own["access_token"], "SHOWN": shown["access_token"] });
    let script = format!("import os\nos.environ.update({secrets})\n{}{USE}", snippet("oauth", "python"));
    let printed = Client::Python.print_snippet(&script, &house);
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [before, after, wrong] = &lines[..] else { panic!("{printed}") };
    assert_eq!((&before["active"], &before["username"]), (&json!(true), &json!(LOGIN)));
    assert_eq!((&before["scope"], &before["jti"]), (&json!("purge_select"), &shown["id"]));
    assert_eq!(*after, json!({ "active": false }));
    assert_eq!(
        *wrong,
        json!({ "error": "invalid_request", "error_description": "The client_ip is an IP address" })
    );
    assert!(!house.is_alive(shown["access_token"].as_str().expect("a secret")));
}
