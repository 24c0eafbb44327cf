//! `keygate event`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

use serde_json::Value;

use crate::{
    house::{BOB, House, PASSWORD, Running, spawn},
    terminal::at_a_terminal,
};

#[test]
fn events_are_listed_newest_first_and_filtered() {
    let house = House::of_bob();
    let (id, secret) = house.token(&["--name", "one"]);
    house.run(&["token", "revoke", &id], "").ok();
    let kinds = |args: &[&str]| {
        let list = house.json(&[&["event", "list"], args].concat());
        let kinds = list["data"].as_array().expect("a list").iter();
        kinds
            .map(|event| event["attributes"]["event_type"].as_str().expect("a type").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&["--limit", "2"]), ["token.destroy", "token.create"]);
    assert_eq!(kinds(&["--type", "token.create"]).len(), 2);
    assert_eq!(kinds(&["--token", &id]), ["token.destroy", "token.create"]);
    assert_eq!(kinds(&["--service", &house.shop]), ["service.create"]);
    assert_eq!(kinds(&["--user", &house.bob, "--type", "user.sudo"]), ["user.sudo"]);
    assert!(kinds(&["--until", "1h"]).is_empty() && kinds(&["--since", "2100-01-01"]).is_empty());
    assert_eq!(kinds(&["--since", "1h"]), kinds(&[]));
    let table = house.run(&["event", "list", "--limit", "1"], "");
    assert!(
        table.ok().contains("token.destroy") && table.out.contains("Token 'one' was revoked"),
        "{}",
        table.out
    );
    assert!(table.err.contains("--limit shows more") && !table.out.contains(&secret), "{}", table.err);
}

#[test]
fn the_tail_prints_what_happens() {
    let house = House::of_bob();
    let mut tail =
        Running(spawn(&mut house.command(&["event", "tail", "--interval", "1", "-n", "1", "--json"])));
    let lines = BufReader::new(tail.0.stdout.take().expect("its output")).lines();
    let mut kinds = lines.map(|line| {
        let event: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        event["attributes"]["event_type"].as_str().expect("a type").to_owned()
    });
    assert_eq!(kinds.next().as_deref(), Some("token.create"), "the last event from before");
    house.token(&["--name", "new"]);
    assert_eq!(kinds.next().as_deref(), Some("user.sudo"));
    assert_eq!(kinds.next().as_deref(), Some("token.create"));
    house.home.customer("Another");
    house.home.user(&house.customer, "eve@example.com", "user", PASSWORD);
    assert_eq!(kinds.next().as_deref(), Some("user.create"), "and not another customer's");
    house.run(&["login", "--login", BOB, "--password-stdin"], PASSWORD).ok();
    // The login behind it is revoked by the new one: the tail ends and says why, instead of trying for ever.
    assert!(kinds.by_ref().all(|kind| ["user.login", "token.create"].contains(&kind.as_str())));
    drop(kinds);
    let mut said = String::new();
    tail.0.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    let ended = tail.0.wait().expect("its end");
    assert!(ended.code() == Some(1) && said.contains("does not take the stored token"), "{said}");
}

#[test]
fn the_tail_ends_when_nobody_reads() {
    let house = House::of_bob();
    let mut tail = Running(spawn(&mut house.command(&["event", "tail", "--interval", "1"])));
    let mut out = BufReader::new(tail.0.stdout.take().expect("its output"));
    out.read_line(&mut String::new()).expect("a line");
    drop(out);
    house.token(&["--name", "new"]);
    for _ in 0..600 {
        if let Some(status) = tail.0.try_wait().expect("a state") {
            return assert!(status.success(), "{status}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it still runs");
}

#[test]
fn the_export_is_complete_in_every_format() {
    let house = House::of_bob();
    house.token(&["--name", "=1+1"]);
    let total = house.json(&["event", "list"])["meta"]["record_count"].as_u64().expect("a count");
    let export = |format: &str| house.run(&["event", "export", "--format", format], "").ok().to_owned();
    let lines = |text: &str| {
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>()
    };
    let jsonl = lines(&export("jsonl"));
    assert_eq!(jsonl.len() as u64, total);
    let positions: Vec<_> = jsonl.iter().map(|event| event["attributes"]["position"].as_i64()).collect();
    assert!(positions.is_sorted(), "oldest first: {positions:?}");

    let ocsf = lines(&export("ocsf"));
    assert_eq!(ocsf.len() as u64, total);
    for (ours, theirs) in jsonl.iter().zip(&ocsf) {
        let of = |name: &str| theirs[name].as_i64().unwrap_or_else(|| panic!("{name} in {theirs}"));
        assert_eq!(of("type_uid"), of("class_uid") * 100 + of("activity_id"));
        assert_eq!(of("category_uid"), of("class_uid") / 1000);
        assert!(of("time") > 1_700_000_000_000 && of("severity_id") == 1 && of("status_id") == 1);
        assert_eq!(
            (&theirs["metadata"]["uid"], &theirs["metadata"]["version"]),
            (&ours["id"], &"1.9.0".into())
        );
    }
    let made = ocsf.last().expect("an event");
    assert_eq!((&made["class_uid"], &made["entity"]["name"]), (&3004.into(), &"=1+1".into()));
    assert_eq!(made["src_endpoint"]["ip"], "127.0.0.1");

    let csv = export("csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len() as u64, total);
    let place = header.iter().position(|name| name == "event_type").expect("a column");
    assert_eq!(&rows[0][place], "customer.create");
    assert!(csv.contains("\"{\"\"name\"\":\"\"Acme\"\"}\"\r\n"), "{csv}");
}

#[test]
fn an_export_to_a_file_is_whole_and_for_its_owner_alone() {
    let house = House::of_bob();
    let file = house.home.path().join("events.jsonl");
    let path = file.display().to_string();
    let ran = house.run(&["event", "export", "--output", &path], "");
    let count = fs::read_to_string(&file).expect("a file").lines().count();
    assert_eq!((ran.ok(), ran.err.as_str()), ("", format!("{count} events are in {path}\n").as_str()));
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    fs::write(&file, "before").expect("a file");
    let mut fails = house.command(&["event", "export", "--output", &path]);
    fails.env("KEYGATE_TOKEN", "kgu_nonsense");
    assert_eq!(crate::house::Ran::of(fails, "").status, Some(1));
    assert_eq!(fs::read_to_string(&file).expect("a file"), "before", "what failed replaces nothing");
    assert!(!house.home.path().join("events.jsonl.part").exists());
    let seen = at_a_terminal(&house, &format!("event export --output {path}"), &[], &[]);
    assert!(
        seen.contains(" events are in ") && seen.contains(" to go"),
        "a bar that says how far it is: {seen}"
    );
}
