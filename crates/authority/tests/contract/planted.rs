//! What somebody with SQL and without the key file can do: be found out, and nothing else. Here and below alone it is
//! known that the database is SQLite.

use keygate_authority::{Authority, audit::Finding, factor::FactorState, token::Order, token::Row};
use keygate_model::{Action, Digest, TokenId};
use rusqlite::Connection;

use crate::house::{House, PASSWORD, Told, at, attempt, noon, permit, said};

mod chain;
mod epoch;
mod mass_revoke;
mod people;
mod policy;
mod row;
mod token;

/// A connection like an intruder's: no foreign keys, nothing in the way.
fn intruder(house: &House) -> Connection {
    let db = Connection::open(house.ground.store.path()).expect("the database");
    db.pragma_update(None, "foreign_keys", false).expect("a pragma");
    db.busy_timeout(std::time::Duration::from_secs(5)).expect("patience");
    db
}

fn tamper(house: &House, sql: &str) {
    intruder(house).execute_batch(sql).expect("the intruder's SQL");
}

/// Bytes as SQL writes them.
fn x(bytes: &[u8]) -> String {
    format!("x'{}'", data_encoding::HEXLOWER.encode(bytes))
}

async fn findings(house: &House) -> Vec<Finding> {
    house.authority.audit().await.expect("an audit").bad
}

/// What the audit names.
async fn named(house: &House) -> Vec<(&'static str, String)> {
    findings(house).await.into_iter().map(|finding| (finding.noun, finding.id)).collect()
}

/// What a token is told of the one with this id.
async fn looked_at(house: &House, by: &Row, id: TokenId) -> String {
    said(house.authority.token(&permit(by, Action::TOKEN_READ_ANY, None), id).await)
}

#[tokio::test]
async fn a_change_whose_event_cannot_be_written_does_not_happen() {
    let house = House::new();
    let ada = house.person("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    let (root, token) = (house.token(&ada).await, house.token(&ada).await);
    let seen = house.count().await;
    tamper(&house, "CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT raise(ABORT, 'no'); END");
    assert_eq!(said(house.revoke(&root, &[token.id]).await), "storage");
    assert_eq!(said(house.child(&root, Order::default()).await), "storage");
    assert_eq!(said(house.order(&ada, Order::default()).await), "storage");
    assert_eq!(said(house.lock(&bob, true).await), "storage");
    assert_eq!(house.count().await, seen);
    assert!(house.told.lives(token.id));
    tamper(&house, "DROP TRIGGER full");
    assert_eq!(said(house.revoke(&root, &[token.id]).await), "fine");
    assert_eq!(house.count().await, seen + 1);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let house = House::new();
    let db = intruder(&house);
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    for (version, told) in [(version, "fine"), (version + 1, "db_too_new")] {
        db.pragma_update(None, "user_version", version).unwrap();
        let opened = Authority::open(house.ground.settings(), Told::default().sink());
        assert_eq!(said(opened), told);
    }
}

#[tokio::test]
async fn no_secret_is_in_the_database() {
    let house = House::new();
    let ada = house.person("ada").await;
    let authenticator = house.enrol(&ada, FactorState::On).await;
    let attempt = attempt("ada", PASSWORD, Some(&authenticator.code(noon())));
    let minted = house.ground.mint();
    let issued = house
        .authority
        .create_token_by_password(&at(noon()), attempt, Order::default(), minted, |_| true)
        .await;
    let secret = issued.ok().unwrap().secret.reveal();
    let ground = house.ground;
    drop(house.authority);
    let files = std::fs::read_dir(&ground.dir).unwrap().map(|file| file.unwrap().path());
    let written: Vec<u8> = files
        .filter(|file| *file != ground.settings().key)
        .flat_map(|file| std::fs::read(file).unwrap())
        .collect();
    let holds = |canary: &[u8]| written.windows(canary.len()).any(|part| part == canary);
    assert!(holds(b"ada") && holds(Digest::of(secret.as_bytes()).bytes()));
    let base32 = data_encoding::BASE32_NOPAD.encode(&authenticator.seed);
    let recovery = &authenticator.recovery[0];
    for canary in [secret.as_str(), PASSWORD, &base32, recovery, &recovery.replace('-', "")] {
        assert!(!holds(canary.as_bytes()));
    }
    assert!(!holds(&authenticator.seed));
}

/// Was wrong once: the readers are closed after the writer, and who may only read cannot empty the log beside the database. After a
/// clean stop `keygate.db` alone holds nothing, and who copies it copies nothing.
#[tokio::test]
async fn a_clean_stop_leaves_everything_in_the_one_file() {
    let house = House::new();
    house.customer().await;
    house.count().await;
    let ground = house.ground;
    drop(house.authority);
    let files = std::fs::read_dir(&ground.dir).unwrap().map(|file| file.unwrap().file_name());
    let mut files: Vec<_> = files.map(|file| file.into_string().unwrap()).collect();
    files.sort();
    // The last holds zeros: room that is kept for revokes on a full disk.
    assert_eq!(files, ["keygate.db", "keygate.db.key", "keygate.db.key.seen", "keygate.db.reserve"]);
}
