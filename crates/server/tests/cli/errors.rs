//! What can be wrong between here and a Keygate: each thing has a sentence of its own.

use std::fs;

use crate::{
    house::{House, PASSWORD, Ran},
    process::Home,
    stub::{self, Stub},
};

/// `keygate` with a token, and no login.
fn run(home: &Home, url: &str, args: &[&str]) -> Ran {
    run_with(home, url, args, &[])
}

fn run_with(home: &Home, url: &str, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = home.command(args);
    command.env("HOME", home.path()).env("KEYGATE_URL", url).env("KEYGATE_TOKEN", "kgu_secret");
    command.envs(env.iter().copied());
    Ran::of(command, PASSWORD)
}

fn against(home: &Home, answer: String) -> String {
    let stub = Stub::new(vec![answer]);
    let ran = run(home, &format!("http://{}", stub.address), &["whoami"]);
    let said = ran.fails(1).to_owned();
    assert!(!said.contains("kgu_secret"), "{said}");
    said
}

#[test]
fn a_server_that_is_away_is_said_to_be_away() {
    let home = Home::new();
    let said = run(&home, "http://127.0.0.1:9", &["whoami"]);
    assert!(said.fails(1).contains("http://127.0.0.1:9 cannot be reached; see that it runs"), "{}", said.err);
    let said = run(&home, "https://keygate.invalid", &["whoami"]);
    assert!(said.fails(1).contains("https://keygate.invalid cannot be reached"), "{}", said.err);
}

#[test]
fn a_token_that_cannot_be_one_is_not_sent() {
    let home = Home::new();
    let ran = run_with(&home, "http://127.0.0.1:9", &["whoami"], &[("KEYGATE_TOKEN", "kgu_\u{7}x")]);
    assert!(ran.fails(1).contains("Nothing was sent") && !ran.err.contains("kgu_"), "{}", ran.err);
}

#[test]
fn every_refusal_says_what_it_means() {
    let home = Home::new();
    let because = |msg: &str| format!(r#"{{"msg":"{msg}","detail":"why"}}"#);
    for (status, headers, means) in [
        (401, "", "does not take the token in KEYGATE_TOKEN"),
        (403, "", "use a token that may, or ask a superuser"),
        (404, "", "There is no such thing, or none that you may see"),
        (409, "", "is in the way of what is there already"),
        (422, "", "change what is named below"),
        (429, "Retry-After: 17\r\n", "That was too much for now; try again in 17 s"),
        (500, "", "its log says why"),
        (
            503,
            "Retry-After: 3\r\n",
            "cannot answer at the moment, and nothing is wrong with what you asked; try again in 3 s",
        ),
    ] {
        let said = against(&home, stub::json(status, headers, &because(r"No\u001b[31m")));
        assert!(said.contains(means), "{status}: {said}");
        assert!(said.contains("because: No\u{fffd}[31m: why"), "{status}: {said}");
    }
}

#[test]
fn what_is_no_keygate_is_said_to_be_none() {
    let home = Home::new();
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n<html";
    let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let moved = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/verify\r\nContent-Length: 0\r\n\r\n";
    for answer in [html, missing, moved, "SSH-2.0-OpenSSH_9.2\r\n"] {
        let said = against(&home, answer.to_owned());
        assert!(said.contains("answers, but not as a Keygate does; check the address"), "{answer}: {said}");
    }
}

#[test]
fn nothing_is_sent_in_the_clear_to_another_machine() {
    let home = Home::new();
    for args in
        [&["whoami"][..], &["login", "--login", "ada@example.com", "--password-stdin"], &["event", "list"]]
    {
        let said = run(&home, "http://192.0.2.7", args);
        assert!(said.fails(2).contains("http://192.0.2.7 is not this machine"), "{}", said.err);
        assert!(said.err.contains("--insecure-http"), "{}", said.err);
    }
    let known = run(&home, "http://keygate.invalid", &["whoami", "--insecure-http"]);
    assert!(known.fails(1).contains("http://keygate.invalid cannot be reached"), "{}", known.err);
    let with_a_password = run(&home, "http://ada:secret@127.0.0.1", &["whoami"]);
    assert!(with_a_password.fails(2).contains("does not belong into an address"), "{}", with_a_password.err);
}

#[test]
fn https_is_spoken_with_those_that_this_machine_trusts_and_with_no_other() {
    let home = Home::new();
    let me = || stub::json(200, "", r#"{"user":{"name":"Ada","login":"ada@example.com","role":"user"}}"#);
    let (stub, certificate) = Stub::tls(vec![me()]);
    let file = home.path().join("ca.pem");
    fs::write(&file, certificate).expect("a file");
    let url = format!("https://localhost:{}", stub.address.port());
    let trusted = run_with(&home, &url, &["whoami"], &[("SSL_CERT_FILE", &file.display().to_string())]);
    assert!(trusted.ok().contains("Ada <ada@example.com>, user"), "{}", trusted.out);
    assert!(stub.request().expect("a request").contains("kgu_secret"));

    let (other, _) = Stub::tls(vec![me()]);
    let url = format!("https://localhost:{}", other.address.port());
    let strange = run_with(&home, &url, &["whoami"], &[("SSL_CERT_FILE", &file.display().to_string())]);
    assert!(strange.fails(1).contains("could not prove that it is the one you mean"), "{}", strange.err);
    assert_eq!(other.request(), None, "the token stayed here");
}

#[test]
fn a_link_to_another_host_is_not_followed_there() {
    let house = House::new();
    let thief = Stub::new(vec![stub::json(200, "", "{}")]);
    let event = r#"{"id":"e1","type":"event","attributes":{"event_type":"x","position":1,"created_at":"2026-01-01T00:00:00Z"}}"#;
    let page = |links: &str| {
        stub::json(200, "", &format!(r#"{{"data":[{event}],"links":{links},"meta":{{"record_count":2}}}}"#))
    };
    let next = format!(r#"{{"next":"http://{}/events?page[number]=2"}}"#, thief.address);
    let stub = Stub::new(vec![page(&next), page("{}")]);
    let ran = run(&house.home, &format!("http://{}", stub.address), &["event", "list"]);
    assert_eq!(ran.ok().lines().count(), 3, "{}", ran.out);
    assert!(stub.request().is_some_and(|first| first.contains("kgu_secret")));
    assert!(stub.request().is_some_and(|second| second.starts_with("GET /events?page%5Bnumber%5D=2 ")));
    assert_eq!(thief.request(), None);
}
