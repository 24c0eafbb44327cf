//! Who can write to the database has no access yet: rows that Keygate did not write do not authorise.

use keygate_model::{
    TokenId,
    token::{Brand, Kind, Secret},
};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{
    house::{House, text},
    http::Ask,
};

/// A secret of ours to plant.
fn minted(number: u8) -> (String, [u8; 32]) {
    let secret = Secret::mint(&Brand::default(), Kind::User, &[number; 32]);
    let digest = *secret.digest().bytes();
    (secret.reveal().to_string(), digest)
}

/// Copies the row of `from` under another id and digest, with this seal or its own.
fn copy_row(db: &Connection, from: &str, number: u8, seal: Option<&[u8]>) -> (String, String) {
    let (secret, digest) = minted(number);
    let id = TokenId::from_bytes([number; 16]);
    let copied = db.execute(
        "INSERT INTO tokens SELECT $1, $2, customer_id, user_id, role, creator_id, parent_id, foreign_secret, tls_access,
         name, scope, services, expires_at, second_factor, sudo_until, created_at, updated_at, revoked_at, position, coalesce($3, mac) FROM tokens WHERE id = $4",
        params![id.to_bytes(), digest, seal, bytes(from)],
    );
    assert_eq!(copied.unwrap(), 1);
    (id.to_string(), secret)
}

fn bytes(id: &str) -> [u8; 16] {
    id.parse::<TokenId>().unwrap().to_bytes()
}

#[test]
fn a_planted_a_copied_an_edited_and_a_brought_back_row_never_authorise() {
    let house = House::new("planted");
    let customer = house.customer();
    let person = house.person(&customer, "ada@example.com", "superuser", "a password for Ada");
    let server = house.start(&[]);
    let mut client = server.client();
    let sudo = person.sudo_token(&mut client);
    let mut made = |scope: &str| {
        let ask = Ask::new("POST /tokens").key(&sudo).json(&json!({ "name": scope, "scope": scope }));
        let made = client.must(&ask);
        (made.text("id"), made.text("access_token"))
    };
    let (honest, honest_secret) = made("global");
    let (edited, edited_secret) = made("global:read");
    let (revoked, revoked_secret) = made("global");
    let before = row_before_revocation(&house, &revoked);
    assert_eq!(client.must(&Ask::new(&format!("DELETE /tokens/{revoked}")).key(&sudo)).status, 204);
    server.stop();
    assert_eq!(verdict(&house).0, Some(0), "before anything was done to it");

    let db = Connection::open(&house.db).unwrap();
    let (planted, planted_secret) = copy_row(&db, &honest, 201, Some(&[7; 32]));
    let (copied, copied_secret) = copy_row(&db, &honest, 202, None);
    let change = "UPDATE tokens SET scope = 'global' WHERE id = $1";
    assert_eq!(db.execute(change, [bytes(&edited)]).unwrap(), 1);
    let (updated_at, revoked_at, position, mac) = before;
    let change = "UPDATE tokens SET updated_at = ?2, revoked_at = ?3, position = ?4, mac = ?5 WHERE id = ?1";
    assert_eq!(
        db.execute(change, params![bytes(&revoked), updated_at, revoked_at, position, mac]).unwrap(),
        1
    );
    drop(db);

    let server = house.start(&[]);
    let mut client = server.client();
    let forged = [planted_secret, copied_secret, edited_secret, revoked_secret];
    for (what, secret) in ["planted", "copied", "edited", "brought back"].iter().zip(&forged) {
        for line in ["GET /tokens/self", "GET /service", "GET /events", "POST /service"] {
            let answer = client.must(&Ask::new(line).key(secret));
            assert_eq!(answer.status, 401, "{what}: {line} {}", answer.json());
        }
    }
    assert_eq!(client.must(&Ask::new("GET /tokens/self").key(&honest_secret)).status, 200);
    let (status, bad) = verdict(&house);
    assert_eq!(status, Some(1));
    for id in [planted, copied, edited, revoked] {
        assert!(bad.contains(&id), "the audit does not name {id}: {bad:?}");
    }
    assert_eq!(bad.len(), 4, "{bad:?}");
}

fn row_before_revocation(house: &House, id: &str) -> (i64, i64, i64, Vec<u8>) {
    let db = Connection::open(&house.db).unwrap();
    let row = "SELECT updated_at, revoked_at, position, mac FROM tokens WHERE id = $1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    db.query_row(row, [bytes(id)], read).unwrap()
}

/// What `keygate audit verify` exits with, and the ids it names.
fn verdict(house: &House) -> (Option<i32>, Vec<String>) {
    let told = house.run(&["audit", "verify", "--json"], "");
    let findings: Value = serde_json::from_slice(&told.stdout).unwrap();
    let bad = findings["bad"].as_array().unwrap().iter().map(|bad| text(bad, "id")).collect();
    (told.status.code(), bad)
}
