//! Who may do what on the server, and what is refused at the start (K24).

use keygate_authority::{Authority, Settings};
use std::sync::Arc;

use crate::{
    house::{House, POLICY, Told, said},
    intruder::sql,
    store::{AUDITING, SERVING, address, superuser},
};

#[tokio::test]
async fn who_serves_cannot_undo_the_log_and_who_audits_sees_nothing_else() {
    let house = House::new();
    house.person("ada").await;
    let name = house.ground.store.name().to_owned();
    for refused in [
        "DELETE FROM events",
        "UPDATE events SET kind = ''",
        "TRUNCATE events",
        "DELETE FROM tokens",
        "DELETE FROM users",
        "DROP TABLE events",
        "CREATE TABLE mine (one INT)",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "UPDATE schema_version SET version = 0",
    ] {
        assert_eq!(sql(SERVING, &name, refused), "42501", "{refused}");
    }
    assert_eq!(sql(AUDITING, &name, "SELECT count(*) FROM events, head"), "done");
    for refused in
        ["SELECT * FROM users", "SELECT * FROM tokens", "INSERT INTO head VALUES (2)", "SELECT * FROM marks"]
    {
        assert_eq!(sql(AUDITING, &name, refused), "42501", "{refused}");
    }
}

fn open(house: &House, user: &str) -> String {
    let db =
        address(user, house.ground.store.name()).parse::<keygate_authority::db::Db>().expect("an address");
    let mut settings = Settings::new(db, Arc::clone(&POLICY), [7; 32]);
    settings.key = house.ground.settings().key;
    said(Authority::open(settings, Told::default().sink()))
}

/// Sets something for one database or role, as its superuser.
fn set(house: &House, setting: &str) {
    let (name, setting) =
        (house.ground.store.name().to_owned(), setting.replace("$db", house.ground.store.name()));
    std::thread::spawn(move || superuser(&name).batch_execute(&setting))
        .join()
        .expect("an end")
        .expect("a setting");
}

#[tokio::test]
async fn unsafe_settings_are_refused_at_the_start() {
    let house = House::new();
    assert_eq!(open(&house, SERVING), "fine");
    assert_eq!(open(&house, "postgres"), "db_unsafe");
    set(&house, "DROP TABLE schema_version");
    assert_eq!(open(&house, SERVING), "db_not_migrated");
}

#[tokio::test]
async fn a_newer_and_an_older_schema_are_refused() {
    let house = House::new();
    set(&house, "UPDATE schema_version SET version = version - 1");
    assert_eq!(open(&house, SERVING), "db_not_migrated");
    set(&house, "UPDATE schema_version SET version = version + 2");
    assert_eq!(open(&house, SERVING), "db_too_new");
}

#[tokio::test]
async fn a_key_file_that_was_lost_is_not_made_anew() {
    let house = House::new();
    house.person("ada").await;
    let key = house.ground.settings().key;
    let kept = std::fs::read(&key).expect("the key");
    std::fs::remove_file(&key).expect("no key");
    assert_eq!(open(&house, SERVING), "key file");
    assert!(!key.exists());
    std::fs::write(&key, kept).expect("the key");
}
