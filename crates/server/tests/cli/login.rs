//! `keygate login`, `logout`, `whoami`.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::{
    house::{ADA, BOB, House, PASSWORD, Ran},
    terminal::at_a_terminal,
};

#[test]
fn a_login_makes_a_token_that_is_kept_for_its_owner_alone() {
    let house = House::new();
    let ran = house
        .run(&["login", "--login", BOB, "--password-stdin", "--expires", "30d"], &format!("{PASSWORD}\n"));
    assert!(ran.ok().contains(&format!("Logged in to {} as {BOB}, until 20", house.url())), "{}", ran.out);
    let secret = house.kept();
    assert_eq!(house.token_of(&secret)["user_id"], house.bob);
    assert!(!ran.out.contains(&secret) && !ran.err.contains(&secret), "what is kept is not shown");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&house.credentials()), 0o600);
    assert_eq!(mode(house.credentials().parent().expect("a folder")), 0o700);
    let me = house.json(&["whoami"]);
    assert_eq!((&me["user"]["login"], &me["token"]["name"]), (&BOB.into(), &"keygate command line".into()));
    assert!(me["token"]["expires_at"].is_string());
}

#[test]
fn a_second_factor_is_asked_for_when_the_server_wants_it() {
    let house = House::new();
    let login = ["login", "--login", ADA, "--password-stdin"];
    let without = house.run(&login, PASSWORD);
    assert!(without.fails(2).contains("ended before the one-time code"), "{}", without.err);
    let wrong = house.run(&login, &format!("{PASSWORD}\n000000\n"));
    assert!(wrong.fails(1).contains("The one-time code was not taken"), "{}", wrong.err);
    assert!(!house.credentials().exists(), "a failed login keeps nothing");
    house.run(&login, &format!("{PASSWORD}\n{}\n", house.factor.code())).ok();
    assert_eq!(house.json(&["whoami"])["user"]["login"], ADA);
}

#[test]
fn a_person_at_a_terminal_is_asked_and_their_password_is_not_shown() {
    let house = House::new();
    let code = house.factor.code();
    let talk = [("Login: ", ADA), ("Password: ", PASSWORD), ("One-time code: ", &code)];
    let seen = at_a_terminal(&house, "login", &[], &talk);
    assert!(seen.contains(&format!("as {ADA}")), "{seen}");
    assert!(!seen.contains(PASSWORD) && !seen.contains(&code), "{seen}");
}

#[test]
fn a_wrong_password_and_an_unknown_login_are_one_refusal() {
    let house = House::new();
    let wrong = house.run(&["login", "--login", BOB, "--password-stdin"], "not the password of Bob");
    let nobody = house.run(&["login", "--login", "nobody@example.com", "--password-stdin"], PASSWORD);
    assert!(wrong.fails(1).contains("knows no such login with this password"), "{}", wrong.err);
    assert_eq!(wrong.err, nobody.fails(1));
    assert!(!wrong.err.contains("not the password of Bob"));
    let empty = house.run(&["login", "--login", BOB, "--password-stdin"], "\n");
    assert!(empty.fails(2).contains("The password is empty"), "{}", empty.err);
}

#[test]
fn a_new_login_revokes_the_one_before_and_logging_out_the_last() {
    let house = House::of_bob();
    let first = house.kept();
    house.run(&["login", "--login", BOB, "--password-stdin"], PASSWORD).ok();
    let second = house.kept();
    assert!(!house.is_alive(&first) && house.is_alive(&second));
    assert!(house.run(&["logout"], "").ok().contains("Logged out"));
    assert!(!house.is_alive(&second));
    assert!(!fs::read_to_string(house.credentials()).expect("a file").contains(&second));
    assert!(house.run(&["whoami"], "").fails(2).contains("You are not logged in to"));
    assert!(house.run(&["logout"], "").fails(2).contains("there is nothing to forget"));
}

#[test]
fn logging_out_forgets_only_what_it_could_revoke() {
    let house = House::of_bob();
    let secret = house.kept();
    // A port that nobody listens at: the server is away, the login is still stored under its address.
    let away = house.url();
    let file = fs::read_to_string(house.credentials()).expect("a file").replace(&away, "http://127.0.0.1:9");
    fs::write(house.credentials(), file).expect("a file");
    let logout = |more: &[&str]| house.run(&[&["logout", "--url", "http://127.0.0.1:9"], more].concat(), "");
    assert!(logout(&[]).fails(1).contains("You are still logged in"));
    assert!(fs::read_to_string(house.credentials()).expect("a file").contains(&secret));
    assert!(logout(&["--forget"]).ok().contains("Logged out"));
    assert!(!fs::read_to_string(house.credentials()).expect("a file").contains(&secret));
}

#[test]
fn the_server_last_logged_in_to_needs_no_naming() {
    let house = House::of_bob();
    let mut command = house.command(&["whoami"]);
    command.env_remove("KEYGATE_URL");
    assert!(Ran::of(command, "").ok().contains(&house.url()));
    let mut command = house.command(&["whoami"]);
    command.env_remove("KEYGATE_URL").env("KEYGATE_TOKEN", house.kept());
    assert!(Ran::of(command, "").ok().contains(&house.url()));
}

#[test]
fn a_login_that_was_revoked_elsewhere_can_be_forgotten() {
    let house = House::of_bob();
    let id = house.json(&["token", "show"])["id"].as_str().expect("an id").to_owned();
    house.run(&["token", "revoke", &id], "").ok();
    let ran = house.run(&["whoami"], "");
    assert!(
        ran.fails(1).contains("does not take the stored token any more; run `keygate login`"),
        "{}",
        ran.err
    );
    house.run(&["logout"], "").ok();
}

#[test]
fn a_token_in_the_environment_wins() {
    let house = House::of_bob();
    let (id, secret) = house.token(&["--name", "other", "--scope", "global:read"]);
    let mut command = house.command(&["whoami"]);
    command.env("KEYGATE_TOKEN", &secret);
    let ran = Ran::of(command, "");
    assert!(ran.ok().contains(&format!("other ({id})")), "{}", ran.out);
    let mut command = house.command(&["whoami"]);
    command.env("KEYGATE_TOKEN", "kgu_nonsense");
    let ran = Ran::of(command, "");
    assert!(ran.fails(1).contains("does not take the token in KEYGATE_TOKEN"), "{}", ran.err);
    assert!(!ran.err.contains("kgu_nonsense"));
}

#[test]
fn credentials_that_others_can_read_are_refused() {
    let house = House::of_bob();
    fs::set_permissions(house.credentials(), fs::Permissions::from_mode(0o640)).expect("a mode");
    let ran = house.run(&["whoami"], "");
    assert!(ran.fails(2).contains("run: chmod 600"), "{}", ran.err);
    fs::set_permissions(house.credentials(), fs::Permissions::from_mode(0o600)).expect("a mode");
    fs::write(house.credentials(), format!("token = {}", house.kept())).expect("a file");
    let ran = house.run(&["whoami"], "");
    assert!(ran.fails(2).contains("is not what `keygate login` writes"), "{}", ran.err);
    assert!(!ran.err.contains("kgu_"), "{}", ran.err);
}
