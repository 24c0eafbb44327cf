//! A record that moves from a file to a server.

use std::sync::Arc;

use keygate_authority::{
    Authority, Settings,
    db::{Address, Db, copy},
};
use keygate_model::CustomerId;

use crate::{
    house::{House, POLICY, Told, at, noon, said},
    store::{SERVING, address},
};

/// A file beside the house.
fn file(house: &House) -> (Db, Settings) {
    let path = house.ground.dir.join("old.db");
    let db = Db::from(&path);
    let mut settings = Settings::new(&path, Arc::clone(&POLICY), [7; 32]);
    settings.key = house.ground.dir.join("old.db.key");
    (db, settings)
}

fn to(house: &House) -> Address {
    Address::parse(&address("postgres", house.ground.store.name())).expect("an address")
}

#[tokio::test]
async fn everything_is_there_and_works_as_before() {
    let house = House::new();
    let (old, settings) = file(&house);
    let told = Told::default();
    let authority = Authority::open(settings, told.sink()).expect("a file");
    let name = "Ada's";
    for nth in 0..3 {
        authority.create_customer(&at(noon()), CustomerId::from_bits(nth), name).await.expect("a customer");
    }
    drop(authority);
    let mut seen = Vec::new();
    let copied =
        copy(&old, &to(&house), &mut |table, done, all| seen.push((table, done, all))).expect("a copy");
    let rows = |table: &str| copied.iter().find(|copied| copied.table == table).map(|copied| copied.rows);
    assert_eq!((rows("customers"), rows("events"), rows("head")), (Some(3), Some(3), Some(1)));
    assert!(seen.contains(&("customers", 3, 3)), "{seen:?}");
    // With the key of the file, whose seals these are.
    let db: Db = address(SERVING, house.ground.store.name()).parse().expect("an address");
    let mut settings = Settings::new(db, Arc::clone(&POLICY), [7; 32]);
    settings.key = house.ground.dir.join("old.db.key");
    let authority = Authority::open(settings, Told::default().sink()).expect("the server");
    assert_eq!(authority.audit().await.expect("an audit").bad, []);
    assert_eq!(authority.customer(CustomerId::from_bits(2)).await.expect("a customer").name, name);
    authority.create_customer(&at(noon()), CustomerId::from_bits(9), name).await.expect("one more");
    let again = copy(&old, &to(&house), &mut |_, _, _| ());
    assert_eq!(said(again), "db_not_empty");
}
