//! `fastly service version list | clone | update | lock | activate | deactivate | stage | unstage | validate`.

use serde_json::json;

use crate::{
    fastly::{Fastly, HINT_403, Ran},
    house::House,
};

#[test]
fn a_version_is_cloned_commented_activated_and_replaced() {
    let house = House::new(&[]);
    let (ada, shop) = (house.ada(), house.shop.as_str());
    assert_eq!(listed(&ada, shop), ["1 false false"]);
    let told = version(&ada, shop, "clone", &["--version", "1"]);
    assert_eq!(told.ok(), format!("SUCCESS: Cloned service {shop} version 1 to version 2"));
    let told = version(&ada, shop, "update", &["--version", "2", "--comment", "spring sale"]);
    assert_eq!(told.ok(), format!("SUCCESS: Updated service {shop} version 2"));
    assert_eq!(active(&house, &ada), "n/a");
    let told = version(&ada, shop, "activate", &["--version", "1"]);
    assert_eq!(told.ok(), format!("SUCCESS: Activated service {shop} version 1"));
    assert_eq!(active(&house, &ada), "1");
    let told = version(&ada, shop, "activate", &["--version", "latest"]);
    assert_eq!(told.ok(), format!("SUCCESS: Activated service {shop} version 2"));
    assert_eq!(
        (listed(&ada, shop), active(&house, &ada).as_str()),
        (vec!["1 false false", "2 true false"].into_iter().map(str::to_owned).collect(), "2")
    );
    let event = house.last_event("version.activate");
    assert_eq!(event["description"], "Version 2 was activated");
    assert_eq!((&event["metadata"], &event["service_id"]), (&json!({ "version_number": 2 }), &json!(shop)));
    let told = version(&ada, shop, "deactivate", &["--version", "active"]);
    assert_eq!(told.ok(), format!("SUCCESS: Deactivated service {shop} version 2"));
    assert_eq!(listed(&ada, shop), ["1 false false", "2 false false"]);
    assert_eq!(house.last_event("version.deactivate")["metadata"], json!({ "version_number": 2 }));
    let described = ada.run(&["service", "describe", "--service-id", shop]).words();
    assert!(described.contains("Number: 2\nComment: spring sale\n"), "{described}");
}

#[test]
fn a_locked_version_is_cloned_to_be_edited() {
    let house = House::new(&[]);
    let (ada, shop) = (house.ada(), house.shop.as_str());
    let told = version(&ada, shop, "lock", &["--version", "1"]);
    assert_eq!(told.ok(), format!("SUCCESS: Locked service {shop} version 1"));
    assert_eq!(house.last_event("version.lock")["metadata"], json!({ "version_number": 1 }));
    let detail = format!("Version '1' for service '{shop}' is locked");
    let told = version(&ada, shop, "update", &["--version", "1", "--comment", "new"]);
    let why = format!("the Fastly API returned 422 Unprocessable Entity: Version locked ({detail}).");
    assert_eq!(told.error(), why);
    let told = version(&ada, shop, "update", &["--version", "1", "--comment", "new", "--autoclone"]);
    assert!(told.words().contains(&format!("SUCCESS: Updated service {shop} version 2")), "{told}");
    assert_eq!(
        house.last_event("version.clone")["metadata"],
        json!({ "version_number": 2, "cloned_from": 1 })
    );
}

#[test]
fn a_version_is_staged_beside_the_active_one() {
    let house = House::new(&[]);
    let (ada, shop) = (house.ada(), house.shop.as_str());
    version(&ada, shop, "activate", &["--version", "1"]).ok();
    version(&ada, shop, "clone", &["--version", "1"]).ok();
    let told = version(&ada, shop, "stage", &["--version", "2"]);
    assert_eq!(told.ok(), format!("SUCCESS: Staged service {shop} version 2"));
    assert_eq!(listed(&ada, shop), ["1 true false", "2 false true"]);
    let shown = house.get(&format!("/service/{shop}"), &house.root).json();
    let staging = json!([{ "name": "staging", "service_id": shop, "active_version": 2 }]);
    assert_eq!((&shown["environments"], &shown["versions"][0]["environments"]), (&staging, &json!([])));
    let told = version(&ada, shop, "unstage", &["--version", "staged"]);
    assert_eq!(told.ok(), format!("SUCCESS: Unstaged service {shop} version 2"));
    assert_eq!(listed(&ada, shop), ["1 true false", "2 false false"]);
    let told = version(&ada, shop, "validate", &["--version", "2"]);
    assert_eq!(told.ok(), format!("SUCCESS: Service {shop} version 2 is valid"));
}

#[test]
fn what_is_not_there_or_not_allowed_is_named() {
    let house = House::new(&[]);
    let (ada, shop) = (house.ada(), house.shop.as_str());
    let headers = [("Fastly-Key", house.root.as_str())];
    for number in ["2", "0", "01", "+1", "one", "4294967297"] {
        let paths = ["", "/clone", "/lock", "/activate", "/activate/staging", "/deactivate"];
        for path in paths.map(|path| format!("/service/{shop}/version/{number}{path}")) {
            let answer = house.server.send(
                "PUT",
                &path,
                &headers,
                if path.ends_with(number) { "comment=c" } else { "" },
            );
            let number = if number == "+1" { "…" } else { number };
            let detail = json!(format!("Cannot find version '{number}'"));
            let body = answer.any_json();
            assert_eq!(
                (answer.status, &body["msg"], &body["detail"]),
                (404, &json!("Record not found"), &detail),
                "{path}"
            );
        }
    }
    let odd = house.server.send("PUT", &format!("/service/{shop}/version/1/activate/mars"), &headers, "");
    assert_eq!((odd.status, &odd.any_json()["code"]), (400, &json!("environment_invalid")));
    let reader = house.scoped("reader", "global:read");
    let fastly = house.fastly(&reader.secret);
    assert_eq!(listed(&fastly, shop), listed(&ada, shop));
    for command in ["clone", "lock", "activate", "stage"] {
        let told = version(&fastly, shop, command, &["--version", "1"]);
        let why = "the Fastly API returned 403 Forbidden: Read only tokens are not allowed to access this endpoint.";
        assert_eq!(told.error(), why, "{command}");
        assert!(told.hint().starts_with(HINT_403), "{told}");
    }
    assert_eq!(listed(&ada, shop), ["1 false false"]);
}

fn version(fastly: &Fastly, service: &str, command: &str, flags: &[&str]) -> Ran {
    fastly.run(&[&["service", "version", command, "--service-id", service], flags].concat())
}

/// The versions as the CLI lists them: number, active, staged.
fn listed(fastly: &Fastly, service: &str) -> Vec<String> {
    let listed = version(fastly, service, "list", &[]).words();
    let mut rows = listed.lines();
    assert_eq!(rows.next(), Some("NUMBER ACTIVE STAGED LAST EDITED (UTC)"));
    rows.map(|row| row.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect()
}

/// The shop's active version as the CLI lists it.
fn active(house: &House, fastly: &Fastly) -> String {
    let listed = fastly.run(&["service", "list"]).words();
    let row = listed.lines().find(|row| row.contains(&house.shop)).expect("the shop");
    row.split(' ').nth(3).expect("a version").to_owned()
}
