//! What somebody with SQL and without the key file can do: be found out, and nothing else. The one file that knows that
//! the database is SQLite.

use keygate_authority::{Authority, audit::Finding, factor::FactorState, token::Order, token::Row};
use keygate_model::{
    Action, Digest, Record, ServiceId, Subject, TokenId, customer::CustomerState, user::UserState,
};
use rusqlite::Connection;

use crate::house::{House, PASSWORD, Person, Told, at, attempt, noon, operator, permit, said, seconds_later};

const NEVER: i64 = i64::MAX;

/// A connection like an intruder's: no foreign keys, nothing in the way.
fn intruder(house: &House) -> Connection {
    let db = Connection::open(house.ground.settings().db).expect("the database");
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
async fn no_column_of_a_token_can_be_edited() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let root = house.token(&ada).await;
    let shop = house.service(ada.customer, "shop").await;
    let narrow = || Order {
        scope: Some("purge_select".to_owned()),
        services: Some(vec![shop.to_string()]),
        expires: Some(seconds_later(3600)),
        ..Default::default()
    };
    let edits = [
        "scope = 'global'".to_owned(),
        "scope = scope || ' purge_all'".to_owned(),
        format!("user_id = {}", x(&bob.id.to_bytes())),
        format!("customer_id = {}", x(&bob.customer.to_bytes())),
        "services = '*'".to_owned(),
        "services = ''".to_owned(),
        format!("expires_at = {NEVER}"),
        "expires_at = expires_at + 1".to_owned(),
        format!("revoked_at = {}", noon().micros()),
        format!("digest = {}", x(Digest::of(b"the intruder's own secret").bytes())),
        "second_factor = 1".to_owned(),
        format!("sudo_until = {}", NEVER - 1),
        "name = 'Harmless'".to_owned(),
        "created_at = created_at - 1".to_owned(),
        "updated_at = updated_at + 1".to_owned(),
        "position = position + 1".to_owned(),
        "mac = zeroblob(32)".to_owned(),
        "mac = x''".to_owned(),
    ];
    let mut victims = Vec::new();
    for edit in &edits {
        let victim = house.child(&root, narrow()).await.unwrap();
        tamper(&house, &format!("UPDATE tokens SET {edit} WHERE id = {}", x(&victim.id.to_bytes())));
        victims.push(victim);
    }
    all_are_named_and_refused(&house, &root, &edits, &victims).await;
    let house = house.reopen();
    for (edit, victim) in edits.iter().zip(&victims) {
        assert!(!house.told.lives(victim.id), "{edit}");
    }
    assert!(house.told.lives(root.id));
    all_are_named_and_refused(&house, &root, &edits, &victims).await;
}

async fn all_are_named_and_refused(house: &House, root: &Row, edits: &[String], victims: &[Row]) {
    let named = named(house).await;
    assert_eq!(named.len(), edits.len());
    for (edit, victim) in edits.iter().zip(victims) {
        assert!(named.contains(&("token", victim.id.to_string())), "{edit}");
        assert_eq!(looked_at(house, root, victim.id).await, "tampered token", "{edit}");
        assert_eq!(said(house.child(victim, Order::default()).await), "tampered token", "{edit}");
        assert_eq!(said(house.revoke(root, &[victim.id]).await), "tampered token", "{edit}");
    }
    let living = house.authority.tokens_of_customer(&operator(root.customer)).await.expect("a list");
    assert_eq!(living.iter().map(|used| used.row.id).collect::<Vec<_>>(), [root.id]);
}

#[tokio::test]
async fn planted_copied_moved_and_deleted_tokens_are_named() {
    let house = House::new();
    let ada = house.person("ada").await;
    let root = house.token(&ada).await;
    let (moved, deleted) = (house.token(&ada).await, house.token(&ada).await);
    let copy = |id: u128, digest: &[u8]| {
        let (id, digest, from) =
            (x(&id.to_be_bytes()), x(Digest::of(digest).bytes()), x(&root.id.to_bytes()));
        format!(
            "CREATE TEMP TABLE copy AS SELECT * FROM tokens WHERE id = {from};
             UPDATE temp.copy SET id = {id}, digest = {digest};
             INSERT INTO tokens SELECT * FROM temp.copy;"
        )
    };
    tamper(&house, &copy(1, b"the intruder's own secret"));
    // With an event of its own, too.
    tamper(&house, &copy(2, b"another secret"));
    let event = "INSERT INTO events SELECT 1000, x'01', at, kind, actor, customer_id, user_id, service_id, token_id,
                 subject_kind, x'00000000000000000000000000000002', ip, request_id, description, metadata, hash
                 FROM events WHERE subject_kind = 'token' LIMIT 1;
                 UPDATE tokens SET position = 1000 WHERE id = x'00000000000000000000000000000002'";
    tamper(&house, &event.replace("x'01'", "zeroblob(16)"));
    tamper(
        &house,
        &format!(
            "UPDATE tokens SET id = {} WHERE id = {}",
            x(&3_u128.to_be_bytes()),
            x(&moved.id.to_bytes())
        ),
    );
    tamper(&house, &format!("DELETE FROM tokens WHERE id = {}", x(&deleted.id.to_bytes())));
    let named = named(&house).await;
    for id in [TokenId::from_bits(1), TokenId::from_bits(2), TokenId::from_bits(3), moved.id, deleted.id] {
        assert!(named.contains(&("token", id.to_string())), "{id} in {named:?}");
    }
    assert!(named.contains(&("event", "1000".to_owned())));
    let house = house.reopen();
    for bits in 1..=3 {
        let planted = TokenId::from_bits(bits);
        assert!(!house.told.lives(planted));
        assert_eq!(looked_at(&house, &root, planted).await, "tampered token");
    }
    for gone in [&moved, &deleted] {
        assert!(!house.told.lives(gone.id));
        assert_eq!(looked_at(&house, &root, gone.id).await, "missing token");
    }
    assert!(house.told.lives(root.id));
}

/// Revokes a token, then puts its row back as it stood before.
async fn put_back(house: &House, ada: &Person) -> (Row, Row) {
    let (root, token) = (house.token(ada).await, house.token(ada).await);
    let db = intruder(house);
    let id = x(&token.id.to_bytes());
    db.execute_batch(&format!("CREATE TEMP TABLE old AS SELECT * FROM tokens WHERE id = {id}")).expect("a copy");
    house.revoke(&root, &[token.id]).await.expect("revoked");
    let back = format!("DELETE FROM tokens WHERE id = {id}; INSERT INTO tokens SELECT * FROM temp.old");
    db.execute_batch(&back).expect("put back");
    (root, token)
}

#[tokio::test]
async fn an_old_row_put_back_does_not_bring_a_token_back() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (root, token) = put_back(&house, &ada).await;
    for _ in 0..2 {
        assert_eq!(named(&house).await, [("token", token.id.to_string())]);
        assert_eq!(looked_at(&house, &root, token.id).await, "tampered token");
    }
    let house = house.reopen();
    assert!(!house.told.lives(token.id));
    assert_eq!(looked_at(&house, &root, token.id).await, "tampered token");
}

/// BUG: a row is held against the last event about it, and that event against nothing but the audit. Who puts the old
/// row back and removes the event of the revoke (or gives it another subject) has the token authorise again after a
/// restart.
#[tokio::test]
async fn bug_an_old_row_without_its_last_event_does_not_bring_a_token_back() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (root, token) = put_back(&house, &ada).await;
    house.revoke(&root, &[root.id]).await.unwrap();
    tamper(
        &house,
        &format!(
            "DELETE FROM events WHERE kind = 'token.destroy' AND subject_id = {}",
            x(&token.id.to_bytes())
        ),
    );
    assert!(!findings(&house).await.is_empty());
    let opened = Told::default();
    drop(house.authority);
    if Authority::open(house.ground.settings(), opened.sink()).is_ok() {
        assert!(!opened.lives(token.id));
    }
}

#[tokio::test]
async fn no_person_can_be_edited() {
    let house = House::new();
    let ada = house.person("ada").await;
    house.enrol(&ada, FactorState::On).await;
    let hash: String =
        intruder(&house).query_row("SELECT password FROM users", [], |row| row.get(0)).unwrap();
    let edits = [
        "role = 'engineer'".to_owned(),
        "state = 'deleted'".to_owned(),
        "state = 'odd'".to_owned(),
        "name = 'Eve'".to_owned(),
        format!("password = '{}'", hash.replace("m=19456", "m=8")),
        "password = (SELECT password FROM users WHERE login = 'bob')".to_owned(),
        "factor = 'off'".to_owned(),
        "factor_step = factor_step - 1".to_owned(),
        "factor_failures = factor_failures - 1".to_owned(),
        "factor_month = factor_month - 1".to_owned(),
        "factor_month_failures = factor_month_failures - 1".to_owned(),
        "recovery = ''".to_owned(),
        "customer_id = zeroblob(16)".to_owned(),
        "created_at = created_at - 1".to_owned(),
        "mac = (SELECT mac FROM users WHERE login = 'bob')".to_owned(),
    ];
    house.colleague(ada.customer, "bob").await;
    let mut victims = Vec::new();
    for (nth, edit) in edits.iter().enumerate() {
        let victim = house.colleague(ada.customer, &format!("victim-{nth}")).await;
        tamper(&house, &format!("UPDATE users SET {edit} WHERE id = {}", x(&victim.id.to_bytes())));
        victims.push(victim);
    }
    assert_eq!(named(&house).await.len(), edits.len());
    let house = house.reopen();
    let named = named(&house).await;
    for (edit, victim) in edits.iter().zip(&victims) {
        let subject = Subject::User(victim.id);
        assert_eq!(house.told.last_about(subject), Some(Record::Broken(subject)), "{edit}");
        assert!(named.contains(&("user", victim.id.to_string())), "{edit}");
        assert_eq!(said(house.authority.user(ada.customer, victim.id).await), "tampered user", "{edit}");
        assert_eq!(said(house.order(victim, Order::default()).await), "tampered user", "{edit}");
    }
}

#[tokio::test]
async fn swapped_seeds_and_a_planted_person_prove_nothing() {
    let house = House::new();
    let ada = house.person("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    house.enrol(&ada, FactorState::On).await;
    let bobs = house.enrol(&bob, FactorState::On).await;
    tamper(
        &house,
        "CREATE TEMP TABLE old AS SELECT id, factor_seed FROM users;
         UPDATE users SET factor_seed = (SELECT factor_seed FROM temp.old WHERE temp.old.id <> users.id);
         CREATE TEMP TABLE planted AS SELECT * FROM users WHERE login = 'bob';
         UPDATE temp.planted SET id = zeroblob(16), login = 'mallory', factor = 'off';
         INSERT INTO users SELECT * FROM temp.planted",
    );
    let named = named(&house).await;
    assert_eq!(named.len(), 3);
    assert!(named.iter().all(|(noun, _)| *noun == "user"), "{named:?}");
    let house = house.reopen();
    // Bob's password and code, for Ada's row.
    let code = bobs.code(noon());
    for login in ["ada", "bob", "mallory"] {
        let told = house.log_in(attempt(login, PASSWORD, Some(&code)), Order::default(), noon()).await;
        assert_eq!(said(told), "tampered user", "{login}");
    }
}

#[tokio::test]
async fn neither_services_nor_customers_can_be_edited() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.customer().await);
    let root = house.token(&ada).await;
    let (moved, back) =
        (house.service(ada.customer, "moved").await, house.service(ada.customer, "back").await);
    let edited = house.service(ada.customer, "edited").await;
    let delete = permit(&root, Action::SERVICE_DELETE, Some(back));
    house.authority.delete_service(&delete, &at(noon())).await.unwrap();
    house.authority.set_customer_state(&operator(bob), &at(noon()), CustomerState::Suspended).await.unwrap();
    let whose = |id: ServiceId| format!("WHERE id = {}", x(&id.to_bytes()));
    tamper(&house, &format!("UPDATE services SET customer_id = {} {}", x(&bob.to_bytes()), whose(moved)));
    tamper(&house, &format!("UPDATE services SET deleted_at = NULL {}", whose(back)));
    tamper(&house, &format!("UPDATE services SET domains = 'victim.example' {}", whose(edited)));
    let claim = format!("INSERT INTO domains VALUES ('victim.example', {})", x(&edited.to_bytes()));
    tamper(&house, &claim);
    tamper(&house, "UPDATE customers SET state = 'active' WHERE state = 'suspended'");
    let house = house.reopen();
    let mut expected: Vec<_> = [moved, back, edited].map(|id| ("service", id.to_string())).into();
    expected.push(("customer", bob.to_string()));
    let mut named = named(&house).await;
    expected.sort();
    named.sort();
    assert_eq!(named, expected);
    for id in [moved, back, edited] {
        let subject = Subject::Service(id);
        assert_eq!(house.told.last_about(subject), Some(Record::Broken(subject)));
        let read = permit(&root, Action::SERVICE_READ, Some(id));
        assert_eq!(said(house.authority.service(&read).await), "tampered service");
        let order = Order { services: Some(vec![id.to_string()]), ..Default::default() };
        assert_eq!(said(house.child(&root, order).await), "tampered service");
    }
    let subject = Subject::Customer(bob);
    assert_eq!(house.told.last_about(subject), Some(Record::Broken(subject)));
    assert_eq!(said(house.authority.customer(bob).await), "tampered customer");
    let there = house.authority.service_at(&operator(ada.customer), "victim.example").await;
    assert_eq!(said(there), "tampered service");
}

/// Six events, and a way to undo what was done to them.
async fn chain() -> (House, Connection) {
    let house = House::new();
    let customer = house.customer().await;
    for name in ["two", "three", "four", "five", "six"] {
        house.service(customer, name).await;
    }
    let db = intruder(&house);
    db.execute_batch(
        "CREATE TEMP TABLE old_events AS SELECT * FROM events; CREATE TEMP TABLE old_head AS SELECT * FROM head",
    )
    .expect("a copy");
    (house, db)
}

const UNDO: &str = "DELETE FROM main.events; INSERT INTO main.events SELECT * FROM temp.old_events;
                    DELETE FROM main.head; INSERT INTO main.head SELECT * FROM temp.old_head";

#[tokio::test]
async fn the_first_event_that_is_off_is_named() {
    let (house, db) = chain().await;
    let tampers = [
        ("UPDATE events SET at = at + 1 WHERE position = 3", "event 3"),
        ("UPDATE events SET id = zeroblob(16) WHERE position = 3", "event 3"),
        ("UPDATE events SET kind = 'service.delete' WHERE position = 3", "event 3"),
        ("UPDATE events SET actor = 'stranger' WHERE position = 3", "event 3"),
        ("UPDATE events SET customer_id = NULL WHERE position = 3", "event 3"),
        ("UPDATE events SET user_id = zeroblob(16) WHERE position = 3", "event 3"),
        ("UPDATE events SET service_id = NULL WHERE position = 3", "event 3"),
        ("UPDATE events SET token_id = zeroblob(16) WHERE position = 3", "event 3"),
        ("UPDATE events SET subject_kind = 'token' WHERE position = 3", "event 3"),
        ("UPDATE events SET subject_kind = 'none', subject_id = NULL WHERE position = 3", "event 3"),
        ("UPDATE events SET subject_id = zeroblob(16) WHERE position = 3", "event 3"),
        ("UPDATE events SET ip = '127.0.0.1' WHERE position = 3", "event 3"),
        ("UPDATE events SET request_id = '' WHERE position = 3", "event 3"),
        ("UPDATE events SET description = description || ' ' WHERE position = 3", "event 3"),
        ("UPDATE events SET metadata = '{}' WHERE position = 3", "event 3"),
        ("UPDATE events SET hash = zeroblob(32) WHERE position = 3", "event 3"),
        ("UPDATE events SET metadata = '{}' WHERE position = 6", "event 6"),
        ("DELETE FROM events WHERE position = 1", "event 2"),
        ("DELETE FROM events WHERE position = 3", "event 4"),
        ("DELETE FROM events WHERE position = 6", "head 6"),
        ("DELETE FROM events WHERE position > 2", "head 6"),
        ("DELETE FROM events", "head 6"),
        (
            "UPDATE events SET position = -1 WHERE position = 3; UPDATE events SET position = 3 WHERE position = 4;
             UPDATE events SET position = 4 WHERE position = -1",
            "event 3",
        ),
        (
            "CREATE TEMP TABLE extra AS SELECT * FROM events WHERE position = 6;
             UPDATE temp.extra SET position = 7, id = zeroblob(16); INSERT INTO events SELECT * FROM temp.extra",
            "event 7",
        ),
        ("UPDATE head SET position = 5", "head 6"),
        ("UPDATE head SET hash = zeroblob(32)", "head 6"),
        ("UPDATE head SET mac = zeroblob(32)", "head 6"),
        ("DELETE FROM head", "head 6"),
    ];
    for (sql, first) in tampers {
        db.execute_batch(sql).unwrap();
        let bad = findings(&house).await;
        let told = bad.first().map(|finding| format!("{} {}", finding.noun, finding.id));
        assert_eq!(told.as_deref(), Some(first), "{sql}");
        db.execute_batch(UNDO).unwrap();
        assert_eq!(findings(&house).await, [], "{sql}");
    }
}

/// The hashes are not keyed, so a whole chain can be made anew; the head cannot.
#[tokio::test]
async fn a_chain_made_anew_does_not_fit_the_head() {
    let (house, db) = chain().await;
    let other = House::new();
    let customer = other.customer().await;
    for name in ["a", "b", "c", "d", "e"] {
        other.service(customer, name).await;
    }
    let path = other.ground.settings().db;
    db.execute("ATTACH $1 AS other", [path.to_str().unwrap()]).unwrap();
    db.execute_batch("DELETE FROM main.events; INSERT INTO main.events SELECT * FROM other.events").unwrap();
    let bad = findings(&house).await;
    assert_eq!((bad[0].noun, bad[0].why.as_str()), ("head", "it is the head of another chain"));
}

#[tokio::test]
async fn on_a_head_that_fails_its_seal_nothing_is_built() {
    for sql in ["UPDATE head SET position = 2", "DELETE FROM head"] {
        let (house, db) = chain().await;
        db.execute_batch(sql).unwrap();
        let house = house.reopen();
        let customer = keygate_model::CustomerId::from_bits(1);
        let refused = house.authority.create_customer(&at(noon()), customer, "Mallory's").await;
        assert_eq!(said(refused), "Unavailable");
        assert_eq!(named(&house).await.len(), 1);
    }
}

/// BUG: a subject is hashed as it is understood, so a kind that means nothing hashes like none at all.
#[tokio::test]
async fn bug_every_byte_of_an_event_is_under_its_hash() {
    let house = House::new();
    let ada = house.person("ada").await;
    house.log_in(attempt("nobody", PASSWORD, None), Order::default(), noon()).await.unwrap_err();
    tamper(&house, "UPDATE events SET subject_kind = 'rubbish' WHERE subject_kind = 'none'");
    assert_eq!(findings(&house).await.len(), 1, "{:?}", ada.id);
}

/// Waits until the feed has looked around.
async fn look_around() {
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
}

/// BUG: the feed goes by the highest position it finds, not by the sealed head. One planted event far ahead makes it
/// deaf: a revoke after that is answered as done, and the gate lets the token pass.
#[tokio::test]
async fn bug_a_planted_event_far_ahead_does_not_make_the_feed_deaf() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (root, token) = (house.token(&ada).await, house.token(&ada).await);
    tamper(
        &house,
        "INSERT INTO events SELECT 1000000, zeroblob(16), at, kind, actor, customer_id, user_id, service_id, token_id,
         'none', NULL, ip, request_id, description, metadata, hash FROM events WHERE position = 1",
    );
    look_around().await;
    let revoked = house.revoke(&root, &[token.id]).await;
    assert!(revoked.is_err() || !house.told.lives(token.id));
}

/// BUG: the feed reads back what a trigger has made of an event, so a revoke is answered as done and never told.
#[tokio::test]
async fn bug_a_trigger_does_not_keep_a_revoke_from_the_gate() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (root, token) = (house.token(&ada).await, house.token(&ada).await);
    tamper(
        &house,
        "CREATE TRIGGER hide AFTER INSERT ON events WHEN new.kind = 'token.destroy' BEGIN
           UPDATE events SET subject_kind = 'none', subject_id = NULL WHERE position = new.position;
         END",
    );
    let revoked = house.revoke(&root, &[token.id]).await;
    assert!(revoked.is_err() || !house.told.lives(token.id));
}

/// BUG: a row that cannot even be read ends the walk: the audit fails instead of naming it, and the house does not open.
#[tokio::test]
async fn bug_a_row_that_cannot_be_read_is_named_and_stops_nothing() {
    let house = House::new();
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    tamper(
        &house,
        "CREATE TEMP TABLE odd AS SELECT * FROM tokens;
         UPDATE temp.odd SET id = x'010203', digest = zeroblob(32);
         INSERT INTO tokens SELECT * FROM temp.odd",
    );
    assert_eq!(said(house.authority.audit().await), "fine");
    let told = Told::default();
    assert_eq!(said(Authority::open(house.ground.settings(), told.sink())), "fine");
    assert!(told.lives(token.id));
}

#[tokio::test]
async fn a_change_whose_event_cannot_be_written_does_not_happen() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (root, token) = (house.token(&ada).await, house.token(&ada).await);
    let seen = house.count().await;
    tamper(&house, "CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT raise(ABORT, 'no'); END");
    assert_eq!(said(house.revoke(&root, &[token.id]).await), "storage");
    assert_eq!(said(house.child(&root, Order::default()).await), "storage");
    assert_eq!(said(house.order(&ada, Order::default()).await), "storage");
    let locked =
        house.authority.set_user_state(&operator(ada.customer), &at(noon()), ada.id, UserState::Locked).await;
    assert_eq!(said(locked), "storage");
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
    let issued =
        house.authority.create_token_by_password(&at(noon()), attempt, Order::default(), minted).await;
    let secret = issued.ok().unwrap().secret.reveal();
    let ground = house.ground;
    drop(house.authority);
    let written = std::fs::read(ground.settings().db).unwrap();
    let holds = |canary: &[u8]| written.windows(canary.len()).any(|part| part == canary);
    assert!(holds(b"ada") && holds(Digest::of(secret.as_bytes()).bytes()));
    let base32 = data_encoding::BASE32_NOPAD.encode(&authenticator.seed);
    let recovery = &authenticator.recovery[0];
    for canary in [secret.as_str(), PASSWORD, &base32, recovery, &recovery.replace('-', "")] {
        assert!(!holds(canary.as_bytes()));
    }
    assert!(!holds(&authenticator.seed));
}
