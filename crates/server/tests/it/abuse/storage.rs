//! B77: the database cannot be written.

use std::time::Duration;

use keygate_server::edge::Stopwatch;
use serde_json::json;

use super::refused;
use crate::house::{Ask, House, Token};

/// Asks the forward-auth door whether the token may read itself.
fn authorize(house: &House, token: &Token) -> Ask {
    house.with(token).proxied("GET", "/tokens/self")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b77_a_database_that_cannot_be_written() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    house.sudo(&token).await;
    let other = rusqlite::Connection::open(house.db()).expect("the database");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");

    // Longer than the writer waits for it. Two at once: nobody waits for a second turn.
    let watch = Stopwatch::start();
    let write = || tokio::spawn(house.with(&token).ask("POST", "/tokens").form(&[("name", "child")]).send());
    let writes = [write(), write()];
    let unavailable = json!({
        "msg": "Temporarily unavailable",
        "detail": "Nothing was changed; try again",
        "code": "storage_unavailable",
    });
    // Meanwhile deciding goes on, and so does what only reads.
    while !writes.iter().all(tokio::task::JoinHandle::is_finished) {
        let asked = Stopwatch::start();
        assert_eq!(authorize(&house, &token).send().await.status, 200);
        assert_eq!(house.with(&token).get("/tokens/self").await.status, 200);
        assert_eq!(house.with(&token).get("/service").await.status, 200);
        assert_eq!(house.anon().get("/readyz").await.status, 200);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for write in writes {
        let reply = write.await.expect("an answer");
        refused(&reply, 503, &unavailable);
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert!(watch.elapsed() < Duration::from_secs(8), "{:?}", watch.elapsed());

    drop(other);
    let child = house.with(&token).ask("POST", "/tokens").form(&[("name", "child")]).send().await;
    assert_eq!(child.status, 200, "{child:?}");
    let tokens = house.with(&token).get("/tokens").await.json();
    assert_eq!(tokens.as_array().map(Vec::len), Some(2), "of the refused ones nothing is left");
}
