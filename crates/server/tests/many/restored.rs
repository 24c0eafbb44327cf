//! A node that was set back: the gates that have seen more, and the operator who accepts the loss.

use std::{fs, time::Duration};

use keygate_server::edge::Stopwatch;
use serde_json::Value;

use crate::house::{House, asked};

const PATIENCE: Duration = Duration::from_secs(20);

fn until(what: &str, is: impl Fn() -> bool) {
    let watch = Stopwatch::start();
    while !is() {
        assert!(watch.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// K12: no revoked token passes at a gate, whatever the node was restored from, and the node itself serves nobody, until
/// an operator begins another epoch.
#[test]
fn a_restored_node_is_in_quarantine_until_the_epoch_is_raised() {
    let house = House::new();
    let listen = house.node.address.to_string();
    let (gate_token, revoked, kept) = (
        house.gate_token(&house.operator),
        house.token(&house.tenant, "shop:read"),
        house.token(&house.tenant, "shop:read"),
    );
    let db = house.home.path().join("keygate.db");
    let kept_db = house.home.path().join("kept.db");
    let backup = rusqlite::Connection::open(&db).unwrap();
    backup.execute("VACUUM INTO ?1", [kept_db.to_str().unwrap()]).unwrap();
    drop(backup);
    let gate = house.gate(&[house.url()], &gate_token, &[]);
    until("the gate follows", || asked(&gate, &revoked) == 200 && asked(&gate, &kept) == 200);
    house.revoke(&revoked);
    until("the gate knows", || asked(&gate, &revoked) == 401);

    let seen = || fs::read_to_string(house.home.path().join("keygate.db.key.seen")).unwrap_or_default();
    let position = || seen().split(' ').nth(1).and_then(|text| text.parse::<u64>().ok());
    let revoked_at = house.home.run(&["epoch", "show"], "")["position"].as_u64();
    until("the node remembers", || position() == revoked_at);

    let House { node, home, tenant, .. } = house;
    drop(node);
    for name in ["keygate.db-wal", "keygate.db-shm"] {
        drop(fs::remove_file(home.path().join(name)));
    }
    fs::copy(&kept_db, &db).unwrap();
    let refused = home.command(&["serve", "--listen", &listen]).output().unwrap();
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("keygate epoch raise"), "{why}");
    let shown = home.command(&["epoch", "show", "--json"]).output().unwrap();
    assert_eq!(shown.status.code(), Some(1));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["is_behind"], &shown["epoch"]), (&Value::Bool(true), &Value::from(1)));

    // A machine that remembers nothing serves it, and the gate follows nothing that is behind.
    fs::rename(home.path().join("keygate.db.key.seen"), home.path().join("seen")).unwrap();
    let forgetful = home.start(&["serve", "--listen", &listen, "--config", "keygate.toml"]);
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_secs(3) {
        assert_ne!(asked(&gate, &revoked), 200, "what was revoked has come back");
        std::thread::sleep(Duration::from_millis(20));
    }
    until("its lease has lapsed", || asked(&gate, &kept) == 503);
    drop(forgetful);
    fs::rename(home.path().join("seen"), home.path().join("keygate.db.key.seen")).unwrap();

    let raised = home.run(&["epoch", "raise", "--yes"], "");
    assert_eq!(raised["epoch"], 2);
    let node = home.start(&["serve", "--listen", &listen, "--config", "keygate.toml"]);
    until("the gate follows the new epoch", || asked(&gate, &kept) == 200);
    // What the loss brings back, one command takes away, while everybody serves.
    let gone = home.run(&["customer", "mass-revoke", "--customer", &tenant.id, "--all", "--yes"], "");
    assert_eq!(gone["tokens_revoked"], 2);
    until("none is let in", || asked(&gate, &kept) == 401 && asked(&gate, &revoked) == 401);
    drop((node, gate));
}
