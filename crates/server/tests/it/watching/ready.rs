//! `/readyz`: each thing that it looks at is broken, and it must say so.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Watched, apply_shop};
use crate::house::{Caller, House};

/// The checks that have failed.
async fn failed(caller: &Caller) -> Vec<String> {
    let reply = caller.get("/readyz").await;
    let body = reply.json();
    let body = body.as_object().expect("an object");
    let failed: Vec<_> = body
        .iter()
        .filter(|(name, word)| *name != "status" && **word == "failed")
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(reply.status, if failed.is_empty() { 200 } else { 503 }, "{reply:?}");
    assert_eq!(body["status"], if failed.is_empty() { "ok" } else { "failed" }, "{reply:?}");
    failed
}

/// What is run on the database beside the server.
fn meddle(house: &House, sql: &str) {
    let other = rusqlite::Connection::open(house.db()).expect("the database");
    other.busy_timeout(Duration::from_secs(5)).expect("patience");
    other.execute_batch(sql).expect("done");
}

#[tokio::test]
async fn a_whole_server_is_ready_and_says_more_where_it_is_watched() {
    let house = House::new().await;
    let watched = Watched::new(&house).await;
    let body = json!({
        "status": "ok", "replica": "ok", "lease": "ok", "feed": "ok", "storage": "ok", "policies": "ok", "serving": "ok",
        "position": house.node.app.gate.position().0,
    });
    for path in ["/readyz", "/healthz"] {
        assert_eq!(watched.admin.get(path).await.json(), body);
    }
    assert_eq!(house.anon().get("/readyz?verbose").await.json(), body, "strangers are told no more");
    let seen = watched.admin.get("/readyz?verbose").await.json()["seen"].clone();
    for check in ["replica", "lease", "feed", "storage", "policies", "serving"] {
        assert!(seen[check].is_string(), "{seen}");
    }
    assert_eq!(watched.admin.get("/livez").await.status, 200);
    // And it is nothing else.
    for path in ["/", "/tokens", "/openapi.json", "/authz/caddy", "/healthz/x"] {
        assert_eq!(watched.admin.get(path).await.status, 404, "{path}");
    }
    assert_eq!(house.anon().get("/healthz").await.status, 404);
}

#[tokio::test]
async fn a_gate_that_is_closed_is_not_ready() {
    let house = House::new().await;
    house.node.app.gate.close();
    assert_eq!(failed(house.anon()).await, ["replica"]);
    house.node.app.gate.open();
    assert_eq!(failed(house.anon()).await, [""; 0]);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_not_ready_and_later_the_feed_is_behind() {
    let house = House::new().await;
    let watched = Watched::new(&house).await;
    meddle(&house, "ALTER TABLE head RENAME TO tail");
    assert_eq!(failed(house.anon()).await, ["storage"]);
    let mut waited = 0;
    while failed(house.anon()).await != ["feed", "storage"] {
        waited += 1;
        assert!(waited < 300, "the feed cannot be read, and nobody says so");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(waited > 50, "too soon: a lock of another process takes as long");
    let text = watched.metrics().await;
    assert!(super::value(&text, "keygate_replica_lag_seconds").expect("a number") > 10.0);
    assert!(super::value(&text, "keygate_store_errors_total").expect("a number") > 50.0);
    assert_eq!(super::value(&text, "keygate_ready{check=\"feed\"}"), Some(0.0));
    assert_eq!(super::value(&text, "keygate_ready{check=\"replica\"}"), Some(1.0));
    meddle(&house, "ALTER TABLE tail RENAME TO head");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(failed(house.anon()).await, [""; 0], "it goes on by itself");
}

#[tokio::test]
async fn what_was_committed_and_not_told_is_owed() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    house.sudo(&token).await;
    let behind = || house.node.app.authority.vitals().behind();
    let before = house.node.app.gate.position();
    // The event can be written, and not be read again.
    meddle(
        &house,
        "CREATE TABLE saved (position INTEGER, ip TEXT);
         CREATE TRIGGER spoil AFTER INSERT ON events BEGIN
            INSERT INTO saved VALUES (new.position, new.ip);
            UPDATE events SET ip = CAST(x'ff' AS TEXT) WHERE position = new.position;
         END",
    );
    // The feed has seen that somebody has written, and looks for it no more.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let made = house.with(&token).ask("POST", "/tokens").form(&[("name", "child")]).send().await;
    assert_eq!((made.status, &made.json()["code"]), (503, &json!("outcome_unknown")), "{made:?}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // Nobody has written since, and still it is known that something is missing.
    assert!(behind() > Duration::from_secs(1), "{:?}", behind());
    assert_eq!(house.node.app.gate.position(), before);
    meddle(
        &house,
        "DROP TRIGGER spoil;
         UPDATE events SET ip = saved.ip FROM saved WHERE events.position = saved.position",
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(behind() < Duration::from_secs(1), "{:?}", behind());
    assert!(house.node.app.gate.position() > before);
}

#[tokio::test]
async fn a_policy_that_cannot_be_believed_is_not_ready() {
    let house = House::new().await;
    apply_shop(&house).await;
    assert_eq!(failed(house.anon()).await, [""; 0]);
    meddle(&house, "UPDATE policies SET text = replace(text, 'shop.test', 'evil.test')");
    let house = house.restart().await;
    // Rows that were changed behind the log make all of it unbelievable, or this one alone.
    assert!(failed(house.anon()).await.contains(&"policies".to_owned()));
    assert_eq!(house.node.app.gate.unreadable_policies(), 1);
}

#[tokio::test]
async fn whoever_watches_sees_the_stop_while_requests_end() {
    let house = House::new().await;
    let watched = Watched::new(&house).await;
    assert_eq!(failed(&watched.admin).await, [""; 0]);
    let mut slow = TcpStream::connect(watched.doors.address()).await.expect("a connection");
    slow.write_all(b"POST /tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n").await.expect("written");
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(watched.stop);
    let mut waited = 0;
    while failed(&watched.admin).await != ["serving"] {
        waited += 1;
        assert!(waited < 50, "it is stopping, and says that it is ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(watched.admin.get("/livez").await.status, 200);
    slow.write_all(b"{}").await.expect("written");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    watched.serving.await.expect("the server stops in peace");
}
