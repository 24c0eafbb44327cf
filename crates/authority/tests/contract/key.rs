use std::{fs, os::unix::fs::PermissionsExt as _};

use keygate_authority::Authority;
use keygate_model::{Record, Subject};

use crate::house::{House, Told, at, noon, operator, said};

fn open(house: &House) -> String {
    said(Authority::open(house.ground.settings(), Told::default().sink()))
}

#[tokio::test]
async fn a_key_file_is_made_for_its_owner_alone_and_kept() {
    let house = House::new();
    let path = house.ground.settings().key;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&path).unwrap(), "07".repeat(32) + "\n");
    let mut settings = house.ground.settings();
    settings.key_entropy = [8; 32];
    Authority::open(settings, Told::default().sink()).ok().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "07".repeat(32) + "\n");
}

#[tokio::test]
async fn a_key_file_that_others_may_read_is_refused() {
    let house = House::new();
    let path = house.ground.settings().key;
    for mode in [0o604, 0o640, 0o602, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(open(&house), "key file", "{mode:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(open(&house), "fine");
}

#[tokio::test]
async fn a_key_file_of_another_shape_is_refused() {
    let house = House::new();
    let path = house.ground.settings().key;
    for text in
        ["", "\n", &"07".repeat(31), &"07".repeat(33), &"0g".repeat(32), &format!(" {}", "07".repeat(32))]
    {
        fs::write(&path, text).unwrap();
        assert_eq!(open(&house), "key file", "{text:?}");
    }
    fs::write(&path, [0xff; 64]).unwrap();
    assert_eq!(open(&house), "key file");
}

#[tokio::test]
async fn with_another_key_nothing_is_believed() {
    let house = House::new();
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    let service = house.service(ada.customer, "shop").await;
    fs::write(house.ground.settings().key, "08".repeat(32)).unwrap();
    let house = house.reopen();
    assert_eq!(house.told.last_about(Subject::Token(token.id)), None);
    for subject in [Subject::Customer(ada.customer), Subject::User(ada.id), Subject::Service(service)] {
        assert_eq!(house.told.last_about(subject), Some(Record::Broken(subject)));
    }
    let bad = house.authority.audit().await.unwrap().bad;
    let nouns: Vec<_> = bad.iter().map(|finding| finding.noun).collect();
    assert_eq!(nouns, ["head", "customer", "user", "service", "token"]);
    assert_eq!(said(house.authority.user(ada.customer, ada.id).await), "tampered user");
    assert_eq!(said(house.order(&ada, Default::default()).await), "tampered user");
    assert_eq!(said(house.authority.token(&operator(ada.customer), token.id).await), "tampered token");
    // Nor is anything written on top of it.
    let id = keygate_model::CustomerId::from_bits(1);
    assert_eq!(said(house.authority.create_customer(&at(noon()), id, "Mallory's").await), "Unavailable");
}

/// Was wrong once: where the database is there and its key file is not, a new key is made without a word, and nothing in the
/// database is believed from then on. A lost or unmounted key should stop the start.
#[tokio::test]
async fn a_database_without_its_key_file_is_refused() {
    let house = House::new();
    house.customer().await;
    fs::remove_file(house.ground.settings().key).unwrap();
    assert_eq!(open(&house), "key file");
}
