use std::time::Duration;

use keygate_authority::Authority;
use keygate_model::{Record, Subject, user::UserState};

use crate::house::{House, at, noon, operator};

/// Waits until `heard`, at most a second.
async fn within_a_second(heard: impl Fn() -> bool) -> bool {
    for _ in 0..100 {
        if heard() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    heard()
}

#[tokio::test]
async fn what_another_process_writes_is_heard_within_a_second() {
    let house = House::new();
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    let other = house.beside();
    assert!(other.told.lives(token.id));

    let theirs = other.token(&ada).await;
    assert!(within_a_second(|| house.told.lives(theirs.id)).await);
    other.revoke(&theirs, &[token.id]).await.unwrap();
    assert!(within_a_second(|| !house.told.lives(token.id)).await);
    other.colleague(ada.customer, "bob").await;
    other.lock(&ada, true).await.unwrap();
    let locked = || match house.told.last_about(Subject::User(ada.id)) {
        Some(Record::User(record)) => record.state == UserState::Locked,
        _ => false,
    };
    assert!(within_a_second(locked).await);
    assert_eq!(house.told.position(), other.told.position());
    house.count().await;
}

#[tokio::test]
async fn a_command_that_tells_nobody_is_heard_by_the_house_beside_it() {
    let house = House::new();
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    let command = Authority::open_silently(house.ground.settings()).unwrap();
    command.revoke(&operator(ada.customer), &at(noon()), vec![token.id]).await.unwrap();
    assert!(within_a_second(|| !house.told.lives(token.id)).await);
    house.count().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_writing_at_once_keep_one_chain() {
    let house = House::new();
    let customer = house.customer().await;
    let other = house.beside();
    let write = async |by: &House, who: &str| {
        for nth in 0..20 {
            by.service(customer, &format!("{who}-{nth}")).await;
        }
    };
    tokio::join!(write(&house, "one"), write(&other, "other"));
    assert_eq!(house.count().await, 41);
    let positions: Vec<_> = house.events(customer).await.iter().map(|row| row.position.0).collect();
    assert_eq!(positions, (1..=41).collect::<Vec<_>>());
    for one in [&house, &other] {
        assert!(within_a_second(|| one.told.position().0 == 41).await);
        let told: Vec<_> = one.told.batches().iter().map(|batch| batch.position).collect();
        assert!(told.is_sorted(), "{told:?}");
    }
}

#[tokio::test]
async fn a_snapshot_tells_all_that_is() {
    let house = House::new();
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    let service = house.service(ada.customer, "shop").await;
    let position = house.told.position();
    let subjects = [
        Subject::Customer(ada.customer),
        Subject::User(ada.id),
        Subject::Service(service),
        Subject::Token(token.id),
    ];
    let before = subjects.map(|subject| house.told.last_about(subject));
    let house = house.reopen();
    assert_eq!(house.told.position(), position);
    assert_eq!(subjects.map(|subject| house.told.last_about(subject)), before);
    assert!(before.iter().all(Option::is_some));
}

#[tokio::test]
async fn an_empty_house_tells_that_it_is_empty() {
    let house = House::new();
    assert_eq!((house.told.position().0, house.told.batches()[0].records.len()), (0, 0));
    assert_eq!(house.count().await, 0);
}
