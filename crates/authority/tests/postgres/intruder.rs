//! What somebody can do who writes to the database past Keygate: be found out, and nothing else. The suite on SQLite tries
//! every column; here are those whose guard has something of the database in it.

use keygate_authority::token::Order;
use keygate_model::{Record, Subject};

use crate::{
    house::{House, said},
    store::{SERVING, address, superuser},
};

/// Runs somebody's SQL, and tells the server's code if it refuses.
pub(crate) fn sql(user: &'static str, database: &str, sql: &'static str) -> String {
    let address = address(user, database);
    let ran = std::thread::spawn(move || {
        let mut client = postgres::Client::connect(&address, postgres::NoTls).expect("the server");
        client.batch_execute(sql)
    });
    let ran = ran.join().expect("an end");
    ran.map_or_else(
        |error| error.code().map_or("?".to_owned(), |code| code.code().to_owned()),
        |()| "done".to_owned(),
    )
}

#[tokio::test]
async fn an_edited_and_a_brought_back_token_never_authorise() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (root, token, other) = (house.token(&ada).await, house.token(&ada).await, house.token(&ada).await);
    assert_eq!(said(house.revoke(&root, &[token.id]).await), "fine");
    let name = house.ground.store.name().to_owned();
    for edit in [
        "UPDATE tokens SET revoked_at = 9223372036854775807 WHERE revoked_at < 9223372036854775807",
        "UPDATE tokens SET scope = 'global:read' WHERE scope = 'global'",
    ] {
        assert_eq!(sql(SERVING, &name, edit), "done");
    }
    let house = house.reopen();
    for id in [token.id, other.id] {
        assert!(!house.told.lives(id), "{id}");
    }
    assert!(house.authority.audit().await.expect("an audit").bad.len() >= 2);
}

#[tokio::test]
async fn an_event_that_was_edited_breaks_everything_until_somebody_looks() {
    let house = House::new();
    let ada = house.person("ada").await;
    house.token(&ada).await;
    let name = house.ground.store.name().to_owned();
    let edit = "UPDATE events SET description = 'nothing' WHERE position = 2";
    // Who serves cannot; the server's superuser can.
    assert_eq!(sql(SERVING, &name, edit), "42501");
    let edited = std::thread::spawn(move || superuser(&name).execute(edit, &[]));
    assert_eq!(edited.join().expect("an end").expect("an edit"), 1);
    let bad = house.authority.audit().await.expect("an audit").bad;
    assert_eq!((bad[0].noun, bad[0].id.as_str()), ("event", "2"));
    // The rows still add up, so a restart believes them; whoever follows the log over that place does not.
    assert_eq!(said(house.order(&ada, Order::default()).await), "fine");
    assert_ne!(house.told.last_about(Subject::None), Some(Record::Broken(Subject::None)));
}
