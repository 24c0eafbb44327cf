use std::sync::Arc;

use keygate_authority::Authority;
use keygate_model::{
    CustomerId, Record, Subject,
    mass_revoke::{Criteria, Targets, Whose},
};

use super::{intruder, named, tamper};
use crate::house::{Ground, House, at, operator, seconds_later};

/// A house with a token that a mass revoke has revoked, and nobody has noted it yet.
async fn revoked() -> (CustomerId, keygate_authority::token::Row, Arc<Ground>) {
    let house = House::new();
    let ada = house.person("ada").await;
    let (token, ground) = (house.token(&ada).await, Arc::clone(&house.ground));
    drop(house);
    let command = Authority::open_silently(ground.settings()).expect("it");
    let targets = Targets::new(Whose::Customer(ada.customer), Criteria::default(), true).expect("it");
    let origin = at(seconds_later(60));
    command.mass_revoke(&operator(ada.customer), &origin, ground.draw(), targets).await.expect("it");
    (ada.customer, token, ground)
}

#[tokio::test]
async fn a_mass_revoke_cannot_be_taken_away() {
    for (edit, finding) in [
        ("DELETE FROM mass_revokes", "mass_revoke"),
        ("UPDATE mass_revokes SET done = 1", "mass_revoke"),
        ("UPDATE mass_revokes SET owner_id = zeroblob(16)", "mass_revoke"),
        ("UPDATE mass_revokes SET created_before = 0", "mass_revoke"),
        ("UPDATE head SET unnoted = 0; DELETE FROM mass_revokes", "head"),
    ] {
        let (_, token, ground) = revoked().await;
        let db = rusqlite::Connection::open(ground.store.path()).unwrap();
        db.execute_batch(edit).unwrap();
        let house = House::again(ground);
        assert!(!house.told.lives(token.id), "{edit}");
        assert_eq!(
            house.told.last_about(Subject::None),
            Some(Record::Broken(Subject::None)),
            "{edit}: nothing is believed"
        );
        assert!(named(&house).await.iter().any(|(noun, _)| *noun == finding), "{edit}");
    }
}

#[tokio::test]
async fn without_an_intruder_it_is_whole() {
    let (_, token, ground) = revoked().await;
    let house = House::again(ground);
    assert!(!house.told.lives(token.id));
    assert_eq!(house.told.last_about(Subject::None), None);
}

#[tokio::test]
async fn a_token_whose_row_was_edited_is_not_noted_and_not_forgotten() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (token, other) = (house.token(&ada).await, house.token(&ada).await);
    let edit = format!("UPDATE tokens SET name = 'x' WHERE id = {}", super::x(&token.id.to_bytes()));
    tamper(&house, &edit);
    let targets = Targets::new(Whose::Customer(ada.customer), Criteria::default(), true).unwrap();
    let (by, origin) = (operator(ada.customer), at(seconds_later(60)));
    let done = house.authority.mass_revoke(&by, &origin, house.ground.draw(), targets).await.unwrap();
    assert_eq!(done.tokens, 2);
    assert!(!house.told.lives(token.id) && !house.told.lives(other.id));
    let mut looks = 0..1000;
    while !house.events(ada.customer).await.iter().any(|event| event.kind == "token.destroy") {
        assert!(looks.next().is_some(), "the other is not noted");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // Whoever sets the row right again has not brought the token back.
    let edit =
        format!("UPDATE tokens SET name = '{}' WHERE id = {}", token.name, super::x(&token.id.to_bytes()));
    tamper(&house, &edit);
    let left: i64 = intruder(&house)
        .query_row("SELECT count(*) FROM mass_revokes WHERE done = 0", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 1, "it is not done while a token is not noted");
    let house = house.reopen();
    assert!(!house.told.lives(token.id) && !house.told.lives(other.id));
}
