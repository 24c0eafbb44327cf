//! Purges onto a real Varnish: what was purged is fetched anew, the rest stays.

use serde_json::json;

use crate::{
    client::{Client, each_client},
    house::House,
    varnish::{Origin, Varnish},
};

/// Pages of the shop, and their surrogate keys.
const PAGES: [(&str, &str); 5] = [
    ("/red", "red"),
    ("/green", "green colour"),
    ("/blue", "blue colour"),
    ("/search?q=a&page=1", "search"),
    ("/kept", "kept"),
];

each_client!(purge_in_varnish);

fn purge_in_varnish(client: Client) {
    let origin = Origin::start();
    for (path, keys) in PAGES {
        origin.page(&format!("shop.example{path}"), &format!("Surrogate-Key: {keys}\r\n"));
    }
    let varnish = Varnish::start(&origin, "");
    let visits = || PAGES.map(|(path, _)| varnish.get("shop.example", path));
    let house = House::new(&[varnish.address()]);
    assert_eq!([visits(), visits()], [["1"; 5]; 2], "everything is cached");

    let Some(steps) = client.run("purge", &house, json!({ "all": false })) else { return };
    steps.assert_unread(&[]);
    for one in ["key", "url"] {
        assert_eq!(steps.ok(one, 200)["status"], "ok");
        assert!(steps.ok(one, 200)["id"].is_string(), "{steps}");
    }
    let keys = steps.ok("keys", 200).as_object().expect("an object");
    assert!(keys.len() == 2 && keys["green"].is_string() && keys["blue"].is_string(), "{steps}");
    if client == Client::Js {
        assert_eq!(steps.ok("letters", 200)["0"], "{");
    }
    assert_eq!(steps.refused("unknown url", 404)["detail"], "Cannot find service");
    assert_eq!(visits(), ["2", "2", "2", "2", "1"]);

    let all = client.run("purge", &house, json!({ "all": true })).expect("it is on");
    assert_eq!(all.ok("all", 200)["status"], "ok");
    assert_eq!(visits(), ["3", "3", "3", "3", "2"]);

    let reader = house.scoped("keys only", "purge_select");
    let refused =
        client.run("purge", &house, json!({ "all": true, "token": reader.secret })).expect("it is on");
    refused.refused("all", 403);
    assert_eq!(visits(), ["3", "3", "3", "3", "2"], "what was refused was not done");
}
