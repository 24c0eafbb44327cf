//! `keygate token`, `keygate automation-token`.

use serde_json::json;

use crate::{
    house::{House, PASSWORD, Ran},
    stub::{self, Stub},
    terminal::at_a_terminal,
};

#[test]
fn a_token_is_made_in_sudo_listed_shown_and_revoked() {
    let house = House::of_bob();
    let wanted =
        ["--name", "deploy", "--scope", "purge_select", "--scope", "purge_all", "--service", &house.shop];
    let create = [&["token", "create", "--password-stdin", "--expires", "90d"], &wanted[..]].concat();
    let ran = house.run(&create, PASSWORD);
    let secret = ran.ok().trim_end();
    assert!(house.is_alive(secret), "standard output is the secret alone: {}", ran.out);
    assert!(ran.err.contains("Its secret is shown this once") && !ran.err.contains(secret), "{}", ran.err);

    let list = house.json(&["token", "list"]);
    let token = list.as_array().and_then(|list| list.last()).expect("a token");
    assert_eq!(token["name"], "deploy");
    assert_eq!(
        (&token["scope"], &token["services"]),
        (&json!("purge_select purge_all"), &json!([house.shop]))
    );
    let id = token["id"].as_str().expect("an id");

    let table = house.run(&["token", "list"], "");
    let row = table.ok().lines().find(|line| line.starts_with(id)).expect("a row");
    let cells: Vec<_> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells[..4], [id, "deploy", "purge_select purge_all", "shop"]);
    assert!(cells[4] == "just now" || cells[4].ends_with(" s ago"), "{row}");
    assert_eq!(cells[5..], ["in 90 days"]);
    let everybody = house.json(&["token", "list", "--all"]);
    assert_eq!(everybody.as_array().map(Vec::len), Some(2));

    let shown = house.run(&["token", "show", id], "");
    assert!(shown.ok().contains("deploy") && !shown.out.contains(secret), "{}", shown.out);
    assert_eq!(house.json(&["token", "show", id])["id"], id);
    assert_eq!(house.json(&["token", "show"])["name"], "keygate command line");

    // Seconds that stand where an id belongs revoke nothing.
    let mistaken = house.run(&["token", "revoke", id, "--wait", "30"], "");
    assert!(mistaken.err.contains("--wait=30") && house.is_alive(secret), "{}", mistaken.err);
    assert_eq!(house.run(&["token", "revoke", id], "").ok(), format!("Token {id} is revoked.\n"));
    assert!(!house.is_alive(secret));
}

#[test]
fn a_script_gets_the_secret_and_nothing_else() {
    let house = House::of_bob();
    let ran = house.run(&["token", "create", "--name", "ci", "--quiet", "--password-stdin"], PASSWORD);
    assert!(house.is_alive(ran.ok().trim_end()));
    assert_eq!((ran.out.lines().count(), ran.err.as_str()), (1, ""));
    let (one, first) = house.token(&["--name", "one"]);
    let (two, second) = house.token(&["--name", "two"]);
    assert_eq!(house.json(&["token", "revoke", &one, &two]), json!({ "revoked": [one, two] }));
    assert!(!house.is_alive(&first) && !house.is_alive(&second));
}

#[test]
fn sudo_asks_for_the_password_once() {
    let house = House::of_bob();
    let create = ["token", "create", "--name", "x", "--password-stdin"];
    let wrong = house.run(&create, "not the password of Bob");
    assert!(wrong.fails(1).contains("The password is not yours; nothing was made"), "{}", wrong.err);
    assert_eq!(house.json(&["token", "list"]).as_array().map(Vec::len), Some(1));
    let none = house.run(&create, "");
    assert!(none.fails(2).contains("Standard input ended before the password"), "{}", none.err);
    house.run(&create, PASSWORD).ok();
    // Five minutes of sudo have begun: nothing is asked, and nothing read.
    house.run(&["token", "create", "--name", "y"], "").ok();
    assert_eq!(
        house.json(&["event", "list", "--type", "user.sudo"])["data"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn sudo_at_a_terminal_keeps_the_password_to_itself() {
    let house = House::of_bob();
    let seen = at_a_terminal(&house, "token create --name typed", &[], &[("Password: ", PASSWORD)]);
    assert!(seen.contains("kgu_") && !seen.contains(PASSWORD), "{seen}");
}

#[test]
fn a_token_that_may_not_is_told_what_to_do() {
    let house = House::of_bob();
    let (_, secret) = house.token(&["--name", "reader", "--scope", "global:read"]);
    let run = |args: &[&str]| {
        let mut command = house.command(args);
        command.env("KEYGATE_TOKEN", &secret);
        Ran::of(command, "")
    };
    let refused = run(&["token", "create", "--name", "x", "--password-stdin"]);
    assert!(refused.fails(1).contains("use a token that may, or ask a superuser"), "{}", refused.err);
    let unknown = run(&["token", "show", "2j1hEyxXOEqYaSipeZHaW4"]);
    assert!(unknown.fails(1).contains("There is no such thing"), "{}", unknown.err);
    let misuse = run(&["token", "show", "../service"]);
    assert!(misuse.fails(2).contains("an id is letters and digits"), "{}", misuse.err);
}

#[test]
fn an_automation_token_is_made_in_sudo_listed_shown_and_revoked() {
    let house = House::of_bob();
    let wanted = ["--name", "ci", "--role", "engineer", "--scope", "purge_select", "--service", &house.shop];
    let create =
        [&["automation-token", "create", "--expires", "90d", "--password-stdin"], &wanted[..]].concat();
    let wrong = house.run(&create, "not the password of Bob");
    assert!(wrong.fails(1).contains("The password is not yours; nothing was made"), "{}", wrong.err);
    let ran = house.run(&create, PASSWORD);
    let secret = ran.ok().trim_end();
    assert!(secret.starts_with("kga_") && house.is_alive(secret), "the secret alone: {}", ran.out);
    assert!(ran.err.contains("Its secret is shown this once") && !ran.err.contains(secret), "{}", ran.err);

    let list = house.json(&["automation-token", "list"]);
    let [token] = &list["data"].as_array().expect("a list")[..] else { panic!("one token: {list}") };
    assert_eq!([&token["name"], &token["role"], &token["scopes"]], ["ci", "engineer", "purge_select"]);
    assert_eq!([&token["creator_id"], &token["services"]], [&json!(house.bob), &json!([house.shop])]);
    let id = token["id"].as_str().expect("an id");
    let table = house.run(&["automation-token", "list"], "");
    let row = table.ok().lines().find(|line| line.starts_with(id)).expect("a row");
    let cells: Vec<_> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells[..4], [id, "ci", "purge_select", "shop"]);
    assert!(cells[4] == "just now" || cells[4].ends_with(" s ago"), "{row}");
    assert_eq!(cells[5..], ["in 90 days"]);
    let shown = house.run(&["automation-token", "show", id], "");
    assert!(shown.ok().contains("ci") && shown.out.contains("engineer"), "{}", shown.out);
    assert!(!shown.out.contains(secret), "{}", shown.out);
    assert_eq!(house.json(&["automation-token", "show", id])["id"], id);

    let gone = house.run(&["automation-token", "revoke", id], "");
    assert_eq!(gone.ok(), format!("Token {id} is revoked.\n"));
    assert!(!house.is_alive(secret));
    assert_eq!(house.json(&["automation-token", "list"])["data"], json!([]));
    let missing = house.run(&["automation-token", "show", &house.bob], "");
    assert!(missing.fails(1).contains("There is no such thing"), "{}", missing.err);
}

#[test]
fn an_automation_token_that_cannot_be_is_refused_with_the_reason() {
    let house = House::of_bob();
    let create = |flags: &[&str]| {
        let args = [&["automation-token", "create", "--name", "ci", "--password-stdin"], flags].concat();
        house.run(&args, PASSWORD).fails(1).to_owned()
    };
    for (flags, why) in [
        (["--role", "pope"], "Role must be one of: billing, engineer, gate, user\n"),
        (["--scope", "everything"], "Scope must be one or more of: "),
        (["--service", "nope"], "Cannot find service 'nope'"),
        (["--role", "superuser"], "Role must be one of: billing, engineer, gate, user\n"),
    ] {
        let told = create(&flags);
        assert!(told.contains(why), "{flags:?}: {told}");
    }
    assert_eq!(house.json(&["automation-token", "list"])["data"], json!([]));
    // The least there is, for everything, and for ever.
    let args = ["automation-token", "create", "--name", "ci", "--json"];
    let made: serde_json::Value = serde_json::from_str(house.run(&args, "").ok()).expect("JSON");
    assert_eq!([&made["role"], &made["scope"], &made["expires_at"]], ["user", "global", ""]);
}

/// A machine's token does not make another one by a password: it has none.
#[test]
fn a_machine_is_told_that_it_is_none() {
    let house = House::of_bob();
    let secret =
        house.json(&["automation-token", "create", "--name", "ci", "--password-stdin"])["access_token"]
            .as_str()
            .expect("a secret")
            .to_owned();
    let run = |args: &[&str]| {
        let mut command = house.command(args);
        command.env("KEYGATE_TOKEN", &secret);
        Ran::of(command, PASSWORD)
    };
    let whoami = run(&["whoami"]);
    assert!(whoami.ok().contains("ci"), "{}", whoami.out);
    let refused = run(&["token", "create", "--name", "x", "--password-stdin"]);
    assert!(refused.fails(1).contains("An automation token has no person behind it"), "{}", refused.err);
    run(&["automation-token", "create", "--name", "x", "--password-stdin"]).fails(1);
    assert_eq!(house.json(&["automation-token", "list"])["data"].as_array().map(Vec::len), Some(1));
}

/// The recorded answers of CONTRACT §10.
#[test]
fn automation_tokens_are_made_and_listed_page_by_page() {
    let wants_sudo = stub::json(403, "", r#"{"msg":"You must POST /sudo to access this endpoint"}"#);
    let in_sudo = stub::json(200, "", r#"{"expiry_time":"2026-01-14T11:52:45+00:00"}"#);
    let made = r#"{"id":"a1","services":[],"name":"ci","role":"engineer","access_token":"kga_secret","scope":"global",
        "ip":"","created_at":"2026-01-14T11:47:46Z","last_used_at":"","expires_at":"","user_agent":"","tls_access":true}"#;
    let stub = Stub::new(vec![wants_sudo, in_sudo, stub::json(200, "", made)]);
    let url = format!("http://{}", stub.address);
    let house = House::new();
    let run = |url: &str, args: &[&str], stdin: &str| {
        let mut command = house.command(args);
        command.env("KEYGATE_TOKEN", "kgu_bob").env("KEYGATE_URL", url);
        Ran::of(command, stdin)
    };
    let create = [
        "automation-token",
        "create",
        "--name",
        "ci",
        "--role",
        "engineer",
        "--tls-access",
        "--password-stdin",
    ];
    assert_eq!(run(&url, &create, PASSWORD).ok(), "kga_secret\n");
    let asked = [stub.request(), stub.request(), stub.request()].map(Option::unwrap_or_default);
    assert!(
        asked[0].starts_with("POST /automation-tokens ") && asked[1].starts_with("POST /sudo "),
        "{asked:?}"
    );
    assert!(asked[2].ends_with(r#"{"name":"ci","role":"engineer","tls_access":true}"#), "{}", asked[2]);

    let page = |number: u32| {
        let item = format!(
            r#"{{"id":"a{number}","name":"ci {number}","role":"engineer","ip":null,"scopes":"global:read","services":null,
               "last_used_at":null,"created_at":"2026-01-14T11:47:46Z","expires_at":null}}"#
        );
        let meta = format!(r#"{{"per_page":1,"current_page":{number},"record_count":2,"total_pages":2}}"#);
        stub::json(200, "", &format!(r#"{{"data":[{item}],"meta":{meta}}}"#))
    };
    let stub = Stub::new(vec![page(1), page(2), page(1), page(2)]);
    let url = format!("http://{}", stub.address);
    let table = run(&url, &["automation-token", "list"], "");
    assert!(table.ok().contains("a1  ci 1  global:read  all       never      never"), "{}", table.out);
    let all = run(&url, &["automation-token", "list", "--json"], "");
    let all: serde_json::Value = serde_json::from_str(all.ok()).expect("JSON");
    assert_eq!(all["data"].as_array().map(Vec::len), Some(2));
}
