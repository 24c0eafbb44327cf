//! A database that was set back as a whole, head and all: a restored backup.

use std::{path::Path, sync::Arc};

use keygate_authority::{Authority, epoch::Whereabouts};
use keygate_model::Position;

use super::tamper;
use crate::house::{Ground, House, Told, at, noon, said};

/// The database file, written out whole.
fn back_up(house: &House, to: &Path) {
    tamper(house, &format!("VACUUM INTO '{}'", to.display()));
}

fn restore(ground: &Ground, from: &Path) {
    for file in ["keygate.db-wal", "keygate.db-shm"] {
        drop(std::fs::remove_file(ground.dir.join(file)));
    }
    std::fs::copy(from, ground.store.path()).expect("it");
}

fn opened(ground: &Ground) -> String {
    said(Authority::open(ground.settings(), Told::default().sink()))
}

async fn whereabouts(ground: &Ground) -> Whereabouts {
    Authority::open_silently(ground.settings()).expect("it").whereabouts().await.expect("it")
}

async fn raise(ground: &Ground) -> u64 {
    Authority::open_silently(ground.settings()).expect("it").raise_epoch(&at(noon())).await.expect("it")
}

#[tokio::test]
async fn a_restored_record_serves_nobody_until_its_loss_is_accepted() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (root, token) = (house.token(&ada).await, house.token(&ada).await);
    let backup = house.ground.dir.join("backup");
    back_up(&house, &backup);
    let held = house.told.position();
    house.revoke(&root, &[token.id]).await.unwrap();
    house.token(&ada).await;
    let seen = house.told.position();
    let ground = Arc::clone(&house.ground);
    assert_eq!(house.authority.epoch(), 1);
    drop(house);
    restore(&ground, &backup);
    assert_eq!(opened(&ground), "epoch_regression");
    let here = whereabouts(&ground).await;
    assert_eq!((here.position, here.seen, here.is_behind), (held, Some((1, seen)), true));
    // Looking, and a command beside it, change nothing about that.
    assert_eq!(opened(&ground), "epoch_regression");
    assert_eq!(raise(&ground).await, 2);
    let house = House::again(Arc::clone(&ground));
    assert_eq!(house.authority.epoch(), 2);
    assert!(house.told.lives(token.id), "its revoke is lost, and that was accepted");
    house.count().await;
    house.token(&ada).await;
    drop(house);
    assert!(!whereabouts(&ground).await.is_behind);
    // The same backup once more is of an epoch that is over.
    restore(&ground, &backup);
    assert_eq!(opened(&ground), "epoch_regression");
    assert_eq!(raise(&ground).await, 3, "the backup knew of no second epoch, and gates do");
    assert_eq!(opened(&ground), "fine", "and what was accepted is where it goes on from");
}

#[tokio::test]
async fn another_course_is_found_out_however_long_it_is() {
    let house = House::new();
    let ada = house.person("ada").await;
    house.token(&ada).await;
    let backup = house.ground.dir.join("backup");
    back_up(&house, &backup);
    house.token(&ada).await;
    let ground = Arc::clone(&house.ground);
    drop(house);
    restore(&ground, &backup);
    let command = Authority::open_silently(ground.settings()).unwrap();
    for _ in 0..5 {
        command
            .create_customer(&at(noon()), keygate_model::CustomerId::from_bytes(ground.draw()), "x")
            .await
            .unwrap();
    }
    drop(command);
    let here = whereabouts(&ground).await;
    let (_, seen) = here.seen.unwrap();
    assert!(here.position > seen && here.is_behind, "{here:?}");
    assert_eq!(opened(&ground), "epoch_regression");
}

#[tokio::test]
async fn what_is_remembered_of_another_record_or_cannot_be_read_is_no_reason() {
    let house = House::new();
    house.person("ada").await;
    let (ground, seen) = (Arc::clone(&house.ground), house.ground.dir.join("keygate.db.key.seen"));
    drop(house);
    let theirs = House::new();
    let id = keygate_model::CustomerId::from_bytes(theirs.ground.draw());
    theirs.authority.create_customer(&at(noon()), id, "Eve's").await.unwrap();
    for login in ["eve", "bob", "kim"] {
        theirs.person(login).await;
    }
    let (other, their_seen) = (Arc::clone(&theirs.ground), theirs.ground.dir.join("keygate.db.key.seen"));
    drop(theirs);
    // Another record under the same key, and then rubbish.
    std::fs::copy(&their_seen, &seen).unwrap();
    assert_eq!(opened(&ground), "fine");
    drop(other);
    for text in ["", "1 2 3", "1 99999 ff ff ff"] {
        std::fs::write(&seen, text).unwrap();
        assert_eq!(opened(&ground), "fine", "{text:?}");
    }
    let here = whereabouts(&ground).await;
    assert_eq!(here.seen, Some((1, here.position)), "it remembers again");
    assert!(here.position > Position(0));
}

#[tokio::test]
async fn a_node_believes_nothing_once_another_epoch_was_begun() {
    let house = House::new();
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    assert!(house.told.lives(token.id));
    assert_eq!(raise(&house.ground).await, 2);
    let mut looks = 0..200;
    while house.told.lives(token.id) {
        assert!(looks.next().is_some(), "it goes on believing");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let house = house.reopen();
    assert!(house.told.lives(token.id));
    assert_eq!(house.authority.epoch(), 2);
    house.count().await;
}
