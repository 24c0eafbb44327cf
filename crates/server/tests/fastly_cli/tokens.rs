//! `fastly whoami`, `fastly auth-token create | describe | list`.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    fastly::{HINT_401, HINT_403},
    house::{House, LOGIN, Made, PASSWORD},
    process::now,
};

#[test]
fn whoami_tells_person_customer_token_and_services() {
    let house = House::new(&[]);
    assert_eq!(house.ada().run(&["whoami"]).ok(), "ada <ada@example.com>");
    let House { customer, ada, shop, blog, .. } = &house;
    let long = house.ada().run(&["whoami", "--verbose"]).words();
    for line in [
        format!("Customer ID: {customer}\n"),
        "Customer name: Acme\n".to_owned(),
        format!("User ID: {ada}\n"),
        format!("User login: {LOGIN}\n"),
        "Token name: root\n".to_owned(),
        "Token scope: global\n".to_owned(),
        "Service count: 2\n".to_owned(),
        format!("shop ({shop})\n"),
        format!("blog ({blog})\n"),
    ] {
        assert!(long.contains(&line), "{line:?} in {long}");
    }
}

#[test]
fn a_token_is_made_by_password_from_one_that_was_made_with_a_code() {
    let house = House::new(&[]);
    let ran = house.ada().run(&["auth-token", "create", "--password", PASSWORD]);
    let made = Made::read(ran.ok());
    let Made { secret, id } = &made;
    let told = format!(
        "SUCCESS: Created token '{secret}' (name: API token, id: {id}, scope: global, expires: never)"
    );
    assert_eq!(ran.ok(), told);
    assert_eq!(house.fastly(secret).run(&["whoami"]).ok(), "ada <ada@example.com>");
    assert_eq!(house.token_names(), ["root", "API token"]);
    let (sudo, create) = (house.last_event("user.sudo"), house.last_event("token.create"));
    assert_eq!((&sudo["user_id"], &create["token_id"]), (&json!(house.ada), &json!(id)), "{sudo} {create}");
}

#[test]
fn a_token_gets_the_name_the_scopes_the_services_and_the_end_it_was_asked_for() {
    let house = House::new(&[]);
    let services = format!("{},{}", house.shop, house.blog);
    let asked =
        ["--name", "ci & co", "--scope", "purge_select", "--scope", "purge_all", "--services", &services];
    let ran = house.ada().run(
        &[&["auth-token", "create", "--password", PASSWORD, "--expires", "2030-07-28T19:24:50Z"][..], &asked]
            .concat(),
    );
    let Made { secret, id } = &Made::read(ran.ok());
    let told = "scope: purge_select purge_all, expires: 2030-07-28 19:24:50 +0000 UTC)";
    assert!(ran.ok().contains("(name: ci & co, id: ") && ran.ok().ends_with(told), "{ran}");
    let shown = house.get(&format!("/tokens/{id}"), &house.root).json();
    assert_eq!(shown["scopes"], json!(["purge_select", "purge_all"]));
    assert_eq!(shown["services"], json!([house.shop, house.blog]));
    assert_eq!(shown["expires_at"], "2030-07-28T19:24:50Z");

    let described = house.fastly(secret).run(&["auth-token", "describe"]).words();
    for line in [
        format!("ID: {id}\n"),
        "Name: ci & co\n".to_owned(),
        format!("User ID: {}\n", house.ada),
        format!("Services: {}, {}\n", house.shop, house.blog),
        "Scope: purge_select purge_all\n".to_owned(),
        "IP: 127.0.0.1\n".to_owned(),
        "Expires at: 2030-07-28 19:24:50 +0000 UTC\n".to_owned(),
    ] {
        assert!(described.contains(&line), "{line:?} in {described}");
    }
    let used = house.get("/tokens", &house.root).json();
    let agent = used[1]["user_agent"].as_str().expect("a user agent");
    assert!(agent.starts_with("FastlyCLI/v"), "who used it last: {agent}");
}

#[test]
fn tokens_are_described_and_listed_as_the_api_has_them() {
    let house = House::new(&[]);
    let made = house.token(&["--name", "ci", "--services", &house.shop]);
    let described = json_of(house.fastly(&made.secret).run(&["auth-token", "describe", "--json"]).ok());
    assert_eq!(described["TokenID"], json!(made.id));
    assert_eq!(described["Name"], "ci");
    assert_eq!(described["UserID"], json!(house.ada));
    assert_eq!(described["Services"], json!([house.shop]));
    assert_eq!([&described["ExpiresAt"], &described["AccessToken"]], [&Value::Null; 2]);
    let House { ada, shop, customer, .. } = &house;
    let root = house.get("/tokens/self", &house.root).json()["id"].as_str().expect("an id").to_owned();
    let table = format!(
        "NAME TOKEN ID USER ID SCOPE SERVICES\nroot {root} {ada} global\nci {} {ada} global {shop}\n",
        made.id
    );
    assert_eq!(house.ada().run(&["auth-token", "list"]).words(), table);
    assert_eq!(house.ada().run(&["auth-token", "list", "--customer-id", customer]).words(), table);
    let listed = json_of(house.ada().run(&["auth-token", "list", "--json"]).ok());
    let ids: Vec<_> = listed.as_array().expect("a list").iter().map(|token| &token["TokenID"]).collect();
    assert_eq!(ids, [&json!(root), &json!(made.id)]);
    let strange = house.ada().run(&["auth-token", "list", "--customer-id", ada]);
    assert_eq!(
        strange.error(),
        format!("the Fastly API returned 404 Not Found: Record not found (Cannot find customer '{ada}').")
    );
}

#[test]
fn a_wrong_password_makes_nothing_and_is_written_down() {
    let house = House::new(&[]);
    let ran = house.ada().run(&["auth-token", "create", "--password", "wrong", "--name", "ci"]);
    let why =
        "the Fastly API returned 403 Forbidden: The supplied username/password combination is not correct.";
    assert_eq!(ran.error(), why);
    assert!(ran.hint().starts_with(HINT_403), "{ran}");
    assert_eq!(house.token_names(), ["root"]);
    assert_eq!(house.last_event("user.login_failure")["user_id"], json!(house.ada));
    assert!(house.events("user.sudo").is_empty());
}

#[test]
fn a_token_made_without_a_code_makes_no_others_even_with_the_password() {
    let house = House::new(&[]);
    let child = house.token(&["--name", "child"]);
    let ran = house.fastly(&child.secret).run(&["auth-token", "create", "--password", PASSWORD]);
    assert!(ran.error().starts_with("the Fastly API returned 403 Forbidden: "), "{ran}");
    assert!(ran.error().contains("one-time code"), "it says what is missing: {ran}");
    assert_eq!(house.token_names(), ["root", "child"]);
}

#[test]
fn what_cannot_be_granted_is_refused_with_the_reason() {
    let house = House::new(&[]);
    let create = ["auth-token", "create", "--password", PASSWORD];
    let refused = |flags: &[&str]| house.ada().run(&[&create[..], flags].concat()).error().to_owned();
    let invalid = "the Fastly API returned 422 Unprocessable Entity: Unprocessable entity";
    assert_eq!(refused(&["--services", "nope"]), format!("{invalid} (Cannot find service 'nope')."));
    assert_eq!(
        refused(&["--expires", "2020-07-28T19:24:50Z"]),
        format!("{invalid} (expires_at is in the past).")
    );
    assert_eq!(house.token_names(), ["root"]);
}

#[test]
fn an_expired_token_says_so() {
    let house = House::new(&[]);
    let end = now().seconds() + 4;
    let at = jiff::Timestamp::from_second(end).expect("a time").to_string();
    let made = house.token(&["--name", "brief", "--expires", &at]);
    assert!(house.is_alive(&made.secret));
    while now().seconds() < end {
        thread::sleep(Duration::from_millis(50));
    }
    let ran = house.fastly(&made.secret).run(&["service", "list"]);
    let why = format!("the Fastly API returned 401 Unauthorized: Token {} expired at {at}.", made.id);
    assert_eq!(ran.error(), why);
    assert!(ran.hint().starts_with(HINT_401), "{ran}");
}

fn json_of(printed: &str) -> Value {
    serde_json::from_str(printed).expect("JSON")
}
