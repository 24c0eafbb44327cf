//! The CLI with the token of a machine. It cannot make one: there is no such command.

use serde_json::json;

use crate::{
    fastly::{HINT_401, HINT_403},
    house::{House, Made, PASSWORD},
};

/// An automation token of Ada's making, for one service.
fn machine(house: &House) -> Made {
    house.send("POST", "/sudo", &house.root, &json!({ "password": PASSWORD })).json();
    let order = json!({ "name": "deploy", "role": "engineer", "scope": "global", "services": [house.shop] });
    let made = house.send("POST", "/automation-tokens", &house.root, &order).json();
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    Made { secret: text("access_token"), id: text("id") }
}

#[test]
fn a_machine_is_told_who_it_is_and_does_its_work() {
    let house = House::new(&[]);
    let Made { secret, id } = &machine(&house);
    let stored = house.fastly_without_token();
    let told = stored.run(&["auth", "add", "--api-token", secret]).words();
    assert!(told.starts_with("SUCCESS: Token \"deploy\" added\n"), "{told}");
    assert_eq!(stored.run(&["auth", "list"]).words(), "* deploy (static)\n");
    assert_eq!(stored.run(&["whoami"]).ok(), format!("deploy <automation token {id}>"));
    let long = stored.run(&["whoami", "--verbose"]).words();
    for line in [
        "Customer name: Acme\n".to_owned(),
        format!("Token ID: {id}\n"),
        "Token scope: global\n".to_owned(),
        format!("shop ({})\n", house.shop),
    ] {
        assert!(long.contains(&line), "{line:?} in {long}");
    }
    assert!(!long.contains(&house.blog), "{long}");
    let described = stored.run(&["auth-token", "describe"]).words();
    assert!(described.contains(&format!("ID: {id}\nName: deploy\n")), "{described}");
    stored.run(&["service", "purge", "--service-id", &house.shop, "--key", "red"]).ok();
    let ran = stored.run(&["service", "purge", "--service-id", &house.blog, "--key", "red"]);
    assert!(ran.error().contains("limited to other services"), "{ran}");
    let listed = house.get(&format!("/automation-tokens/{id}"), &house.root).json();
    assert!(listed["user_agent"].as_str().is_some_and(|agent| agent.starts_with("FastlyCLI/v")), "{listed}");
}

#[test]
fn a_machine_is_no_person() {
    let house = House::new(&[]);
    let Made { secret, .. } = &machine(&house);
    let fastly = house.fastly(secret);
    let refused = "the Fastly API returned 403 Forbidden: You are not authorized to perform this action";
    let nobody = format!("{refused} (An automation token has no person behind it).");
    let ran = fastly.run(&["auth-token", "create", "--password", PASSWORD]);
    let sudo = format!(
        "{refused} (An automation token has no person behind it, and sudo:start is a person's own business)."
    );
    assert_eq!(ran.error(), sudo);
    assert!(ran.hint().starts_with(HINT_403), "{ran}");
    assert!(house.events("user.login_failure").is_empty(), "no password was tried");
    let whole =
        house.send("POST", "/automation-tokens", &house.root, &json!({ "name": "all", "role": "engineer" }));
    let whole = whole.json()["access_token"].as_str().expect("a secret").to_owned();
    assert_eq!(house.fastly(&whole).run(&["user", "describe", "--current"]).error(), nobody);
}

#[test]
fn a_machines_token_is_revoked_by_a_person_and_by_itself() {
    let house = House::new(&[]);
    let one = machine(&house);
    house.ada().run(&["auth-token", "delete", "--id", &one.id]).ok();
    assert!(!house.is_alive(&one.secret));
    let ran = house.fastly(&one.secret).run(&["service", "list"]);
    assert!(ran.error().contains("was revoked at"), "{ran}");
    assert!(ran.hint().starts_with(HINT_401), "{ran}");
    let two = machine(&house);
    house.fastly(&two.secret).run(&["auth-token", "delete", "--current"]).ok();
    assert!(!house.is_alive(&two.secret));
    let listed = house.get("/automation-tokens", &house.root).json();
    assert_eq!(listed["data"], json!([]));
}
