//! `fastly user create | list | describe | update | delete`.

use serde_json::{Value, json};

use crate::{
    fastly::HINT_403,
    house::{House, LOGIN, PASSWORD},
};

const GRACE: &str = "grace@example.com";
const HERS: &str = "another horse & another battery";

/// Grace, made with the CLI: her id.
fn grace(house: &House) -> String {
    let create = ["user", "create", "--login", GRACE, "--name", "Grace", "--role", "engineer"];
    let told = house.ada().run(&create);
    assert_eq!(told.ok(), "SUCCESS: Created user 'Grace' (role: engineer)");
    let made = people(house).pop().expect("somebody");
    assert_eq!(made["login"], GRACE);
    made["id"].as_str().expect("an id").to_owned()
}

/// Everybody, as the API has them.
fn people(house: &House) -> Vec<Value> {
    let path = format!("/customer/{}/users", house.customer);
    house.get(&path, &house.root).json().as_array().expect("a list").clone()
}

#[test]
fn a_person_is_added_listed_described_changed_and_removed() {
    let house = House::new(&[]);
    let ada = house.ada();
    let id = &grace(&house);
    assert_eq!(house.last_event("user.create")["metadata"]["role"], "engineer");
    let table = format!(
        "LOGIN NAME ROLE LOCKED ID\n{LOGIN} ada superuser false {}\n{GRACE} Grace engineer false {id}\n",
        house.ada
    );
    assert_eq!(ada.run(&["user", "list", "--customer-id", &house.customer]).words(), table);
    let described = ada.run(&["user", "describe", "--id", id]).words();
    let told =
        format!("ID: {id}\nLogin: {GRACE}\nName: Grace\nRole: engineer\nCustomer ID: {}\n", house.customer);
    assert!(described.contains(&told), "{described}");
    assert!(
        described.contains("Limit Services: false\nLocked: false\nRequire New Password: false\n"),
        "{described}"
    );
    let current = ada.run(&["user", "describe", "--current", "--json"]);
    let current: Value = serde_json::from_str(current.ok()).expect("JSON");
    assert_eq!([&current["UserID"], &current["TwoFactorAuthEnabled"]], [&json!(house.ada), &json!(true)]);

    let told = ada.run(&["user", "update", "--id", id, "--name", "Grace H", "--role", "user"]);
    assert_eq!(told.ok(), "SUCCESS: Updated user 'Grace H' (role: user)");
    assert_eq!([&people(&house)[1]["name"], &people(&house)[1]["role"]], ["Grace H", "user"]);
    assert_eq!(house.last_event("user.update")["metadata"]["new"]["role"], "user");

    let told = ada.run(&["user", "delete", "--id", id]);
    assert_eq!(told.ok(), format!("SUCCESS: Deleted user (id: {id})"));
    assert_eq!(people(&house).len(), 1);
    assert_eq!(house.last_event("user.destroy")["metadata"]["login"], GRACE);
    let missing =
        format!("the Fastly API returned 404 Not Found: Record not found (Cannot find user '{id}').");
    assert_eq!(ada.run(&["user", "delete", "--id", id]).error(), missing);
}

#[test]
fn whoever_was_added_sets_their_password_by_the_letter() {
    let house = House::new(&[]);
    grace(&house);
    let [letter] = &house.letters()[..] else { panic!("one letter: {:?}", house.letters()) };
    assert_eq!([&letter["kind"], &letter["to"]], ["password_reset", GRACE]);
    assert_eq!(house.log_in(GRACE, HERS).status, 400);
    assert_eq!(house.reset(letter, HERS), 200);
    let token = house.log_in(GRACE, HERS).json()["access_token"].as_str().expect("a secret").to_owned();
    assert_eq!(house.fastly(&token).run(&["whoami"]).ok(), format!("Grace <{GRACE}>"));
    assert_ne!(house.reset(letter, PASSWORD), 200, "a letter serves once");
    assert_eq!(house.log_in(GRACE, HERS).status, 200);
}

#[test]
fn a_forgotten_password_is_reset() {
    let house = House::new(&[]);
    house.home.user(&house.customer, GRACE, "engineer", PASSWORD);
    let reset = |login: &str| house.ada().run(&["user", "update", "--login", login, "--password-reset"]);
    assert_eq!(reset(GRACE).ok(), format!("SUCCESS: Reset user password (login: {GRACE})"));
    // Whether somebody has a login is not told.
    assert_eq!(reset("nobody@example.com").ok(), "SUCCESS: Reset user password (login: nobody@example.com)");
    let [letter] = &house.letters()[..] else { panic!("one letter: {:?}", house.letters()) };
    assert_eq!(letter["to"], GRACE);
    assert_eq!(house.log_in(GRACE, PASSWORD).status, 200, "asking changes nothing");
    assert_eq!(house.reset(letter, HERS), 200);
    assert_eq!([PASSWORD, HERS].map(|password| house.log_in(GRACE, password).status), [400, 200]);
}

#[test]
fn a_changed_role_counts_at_once() {
    let house = House::new(&[]);
    let id = house.home.user(&house.customer, GRACE, "engineer", PASSWORD);
    let token = house.log_in(GRACE, PASSWORD).json()["access_token"].as_str().expect("a secret").to_owned();
    let purge =
        || house.fastly(&token).run(&["service", "purge", "--service-id", &house.shop, "--key", "red"]);
    purge().ok();
    house.ada().run(&["user", "update", "--id", &id, "--role", "billing"]).ok();
    let ran = purge();
    let why = "You are not authorized to perform this action (Your role does not allow purge:key; ask a superuser).";
    assert_eq!(ran.error(), format!("the Fastly API returned 403 Forbidden: {why}"));
    assert!(ran.hint().starts_with(HINT_403), "{ran}");
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let house = House::new(&[]);
    let grace = &grace(&house);
    let refused = |args: &[&str]| house.ada().run(&[&["user"], args].concat()).error().to_owned();
    let create = |login: &str| refused(&["create", "--login", login, "--name", "X", "--role", "user"]);
    let conflict = "the Fastly API returned 409 Conflict";
    assert_eq!(create(GRACE), format!("{conflict}: Duplicate record (Duplicate user: '{GRACE}')."));
    let bad = "the Fastly API returned 400 Bad Request: Bad request";
    assert_eq!(refused(&["create", "--name", "X"]), format!("{bad} (Login can't be blank)."));
    assert!(create("a b").starts_with(&format!("{bad} (a login is 1 to 254 characters without blanks")));
    // The CLI knows the roles itself.
    let told =
        "error parsing arguments: enum value must be one of user,billing,engineer,superuser, got 'pope'.";
    assert_eq!(refused(&["update", "--id", grace, "--role", "pope"]), told);

    for id in ["nonsense", &house.customer] {
        let missing =
            format!("the Fastly API returned 404 Not Found: Record not found (Cannot find user '{id}').");
        for args in
            [&["describe", "--id", id][..], &["update", "--id", id, "--name", "X"], &["delete", "--id", id]]
        {
            assert_eq!(refused(args), missing);
        }
    }

    let last = format!("{conflict}: Conflict (This is the last superuser; make another one first).");
    assert_eq!(refused(&["update", "--id", &house.ada, "--role", "user"]), last);
    assert_eq!(refused(&["delete", "--id", &house.ada]), last);
    let promote = ["update", "--id", grace, "--role", "superuser"];
    let sudo = refused(&promote);
    assert!(sudo.contains("You must POST /sudo to access this endpoint (To give this role"), "{sudo}");
    // To make a token is this command line's way into sudo.
    house.token(&[]);
    house.ada().run(&[&["user"][..], &promote].concat()).ok();
    let tokens = refused(&["delete", "--id", &house.ada]);
    assert!(
        tokens.starts_with(&format!("{bad} (This user has living tokens (2): revoke them first")),
        "{tokens}"
    );
    assert!(house.is_alive(&house.root) && people(&house).len() == 2);
}

#[test]
fn only_a_superuser_manages_people() {
    let house = House::new(&[]);
    house.home.user(&house.customer, GRACE, "engineer", PASSWORD);
    let token = house.log_in(GRACE, PASSWORD).json()["access_token"].as_str().expect("a secret").to_owned();
    let grace = house.fastly(&token);
    let lacks = |action: &str| {
        let why = format!("Your role does not allow {action}; ask a superuser");
        format!(
            "the Fastly API returned 403 Forbidden: You are not authorized to perform this action ({why})."
        )
    };
    let create = grace.run(&["user", "create", "--login", "x@example.com", "--name", "X", "--role", "user"]);
    assert_eq!(create.error(), lacks("user:create"));
    assert_eq!(
        grace.run(&["user", "list", "--customer-id", &house.customer]).error(),
        lacks("user:read_any")
    );
    assert_eq!(grace.run(&["user", "delete", "--id", &house.ada]).error(), lacks("user:delete"));
    let missing = format!("Record not found (Cannot find user '{}').", house.ada);
    for args in [
        &["user", "describe", "--id", &house.ada][..],
        &["user", "update", "--id", &house.ada, "--name", "X"],
    ] {
        assert_eq!(grace.run(args).error(), format!("the Fastly API returned 404 Not Found: {missing}"));
    }
    // Oneself one sees, and may call oneself what one likes.
    grace.run(&["user", "describe", "--current"]).ok();
    let own = people(&house)[1]["id"].as_str().expect("an id").to_owned();
    grace.run(&["user", "update", "--id", &own, "--name", "Gracie"]).ok();
    let ran = grace.run(&["user", "update", "--id", &own, "--role", "superuser"]);
    assert!(ran.error().contains("You may change your own name; ask a superuser for the rest"), "{ran}");
    assert_eq!([&people(&house)[1]["name"], &people(&house)[1]["role"]], ["Gracie", "engineer"]);
}
