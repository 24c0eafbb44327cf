use keygate_authority::{Fault, token};
use keygate_model::{
    Action, ServiceId,
    version::{Environment, VERSIONS_MAX, Version},
};
use serde_json::json;

use crate::house::{House, Person, at, details, noon, permit, said, seconds_later};
use Environment::{Production, Staging};

/// A service, and somebody who may change it.
struct Scene {
    house: House,
    ada: Person,
    token: token::Row,
    service: ServiceId,
}

/// What can be asked for.
#[derive(Clone, Copy)]
enum Do {
    Create(&'static str),
    Clone(u32),
    Comment(u32, &'static str),
    Lock(u32),
    Activate(u32, Environment),
    Deactivate(u32, Environment),
}

impl Scene {
    async fn new() -> Self {
        let house = House::new();
        let ada = house.person("ada").await;
        let token = house.token(&ada).await;
        let service = house.service(ada.customer, "shop").await;
        Self { house, ada, token, service }
    }

    async fn ask(&self, what: Do) -> Result<Version, Fault> {
        self.ask_of(self.service, what).await
    }

    async fn ask_of(&self, service: ServiceId, what: Do) -> Result<Version, Fault> {
        let (authority, origin) = (&self.house.authority, at(seconds_later(5)));
        let may = |action| permit(&self.token, action, Some(service));
        let (update, activate) = (may(Action::SERVICE_UPDATE), may(Action::SERVICE_ACTIVATE));
        match what {
            Do::Create(comment) => authority.create_version(&update, &origin, comment).await,
            Do::Clone(number) => authority.clone_version(&update, &origin, number).await,
            Do::Comment(number, comment) => authority.update_version(&update, &origin, number, comment).await,
            Do::Lock(number) => authority.lock_version(&update, &origin, number).await,
            Do::Activate(number, place) => {
                authority.activate_version(&activate, &origin, number, place).await
            }
            Do::Deactivate(number, place) => {
                authority.deactivate_version(&activate, &origin, number, place).await
            }
        }
    }

    /// The versions: `2 a-l cloned` for number, active, staging, locked and comment.
    async fn versions(&self) -> Vec<String> {
        let read = permit(&self.token, Action::SERVICE_READ, Some(self.service));
        let row = self.house.authority.service(&read).await.expect("a service");
        let mark = |is: bool, letter: &str| if is { letter.to_owned() } else { "-".to_owned() };
        let shown = |v: &Version| {
            let marks = [mark(v.active, "a"), mark(v.staging, "s"), mark(v.locked, "l")].concat();
            format!("{} {marks} {}", v.number, v.comment)
        };
        row.versions.all().iter().map(shown).collect()
    }
}

#[tokio::test]
async fn a_service_has_its_first_version_and_more_are_numbered_on() {
    let scene = Scene::new().await;
    assert_eq!(scene.versions().await, ["1 --- "]);
    assert_eq!(scene.ask(Do::Create("empty")).await.unwrap().number, 2);
    assert_eq!(scene.ask(Do::Comment(1, "first")).await.unwrap().comment, "first");
    let cloned = scene.ask(Do::Clone(1)).await.unwrap();
    assert_eq!((cloned.number, cloned.comment.as_str(), cloned.created_at), (3, "first", seconds_later(5)));
    assert_eq!(scene.versions().await, ["1 --- first", "2 --- empty", "3 --- first"]);
    // They survive a restart, and their service is as old as before.
    let house = scene.house.reopen();
    let scene = Scene { house, ..scene };
    assert_eq!(scene.versions().await.len(), 3);
    let read = permit(&scene.token, Action::SERVICE_READ, Some(scene.service));
    assert_eq!(scene.house.authority.service(&read).await.unwrap().updated_at, noon());
    scene.house.count().await;
}

#[tokio::test]
async fn activating_locks_and_takes_the_place_of_the_former() {
    let scene = Scene::new().await;
    scene.ask(Do::Clone(1)).await.unwrap();
    let active = scene.ask(Do::Activate(1, Production)).await.unwrap();
    assert_eq!((active.active, active.locked, active.updated_at), (true, true, seconds_later(5)));
    scene.ask(Do::Activate(2, Staging)).await.unwrap();
    assert_eq!(scene.versions().await, ["1 a-l ", "2 -sl "]);
    scene.ask(Do::Activate(2, Production)).await.unwrap();
    assert_eq!(scene.versions().await, ["1 --l ", "2 asl "]);
    // Back to the former, which is locked: that is what it was kept for.
    scene.ask(Do::Activate(1, Production)).await.unwrap();
    scene.ask(Do::Deactivate(2, Staging)).await.unwrap();
    assert_eq!(scene.versions().await, ["1 a-l ", "2 --l "]);
    scene.ask(Do::Deactivate(1, Production)).await.unwrap();
    assert_eq!(scene.versions().await, ["1 --l ", "2 --l "]);
}

#[tokio::test]
async fn a_locked_version_is_not_edited_and_an_unknown_one_is_missing() {
    let scene = Scene::new().await;
    scene.ask(Do::Lock(1)).await.unwrap();
    let seen = scene.house.count().await;
    let refused = scene.ask(Do::Comment(1, "new")).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("version '1' for service '{}' is locked", scene.service));
    for what in [
        Do::Clone(7),
        Do::Comment(7, "new"),
        Do::Lock(7),
        Do::Activate(7, Staging),
        Do::Deactivate(0, Production),
    ] {
        assert_eq!(said(scene.ask(what).await), "missing version");
    }
    assert_eq!(said(scene.ask(Do::Create("a\0b")).await), "name_invalid");
    assert_eq!(said(scene.ask(Do::Comment(1, "a\nb")).await), "name_invalid");
    assert_eq!((scene.house.count().await, scene.versions().await), (seen, vec!["1 --l ".to_owned()]));
}

#[tokio::test]
async fn what_is_so_already_is_no_event() {
    let scene = Scene::new().await;
    scene.ask(Do::Activate(1, Production)).await.unwrap();
    let seen = scene.house.count().await;
    assert!(scene.ask(Do::Activate(1, Production)).await.unwrap().active);
    assert!(scene.ask(Do::Lock(1)).await.unwrap().locked);
    assert!(!scene.ask(Do::Deactivate(1, Staging)).await.unwrap().staging);
    assert_eq!(scene.house.count().await, seen);
}

#[tokio::test]
async fn every_change_is_told_with_its_number() {
    let scene = Scene::new().await;
    let seen = scene.house.count().await;
    for what in [
        Do::Create("c"),
        Do::Clone(2),
        Do::Comment(3, "d"),
        Do::Lock(3),
        Do::Activate(3, Production),
        Do::Activate(2, Staging),
        Do::Deactivate(2, Staging),
        Do::Deactivate(3, Production),
    ] {
        scene.ask(what).await.unwrap();
    }
    assert_eq!(scene.house.count().await, seen + 8);
    let events = scene.house.events(scene.ada.customer).await;
    let told: Vec<_> = events.iter().filter(|event| event.kind.starts_with("version.")).collect();
    let said: Vec<_> = told.iter().map(|event| (event.kind.as_str(), event.description.as_str())).collect();
    assert_eq!(
        said,
        [
            ("version.create", "Version 2 was created"),
            ("version.clone", "Version 3 was cloned from version 2"),
            ("version.update", "Version 3 was updated"),
            ("version.lock", "Version 3 was locked"),
            ("version.activate", "Version 3 was activated"),
            ("version.activate", "Version 2 was activated on staging"),
            ("version.deactivate", "Version 2 was deactivated on staging"),
            ("version.deactivate", "Version 3 was deactivated"),
        ]
    );
    assert!(told.iter().all(|event| event.service == Some(scene.service)));
    assert_eq!(details(told[4]), json!({ "version_number": 3 }), "as recorded");
    assert_eq!(details(told[5]), json!({ "version_number": 2, "environment": "staging" }));
    let update = json!({ "version_number": 3, "old": { "comment": "c" }, "new": { "comment": "d" } });
    assert_eq!(details(told[2]), update);
}

#[tokio::test]
async fn versions_are_kept_up_to_a_bound_and_the_one_in_use_always() {
    let scene = Scene::new().await;
    scene.ask(Do::Activate(1, Production)).await.unwrap();
    for _ in 0..=VERSIONS_MAX {
        scene.ask(Do::Create("")).await.unwrap();
    }
    let versions = scene.versions().await;
    assert_eq!(
        (versions.len(), versions[0].as_str(), versions[1].as_str()),
        (VERSIONS_MAX, "1 a-l ", "4 --- ")
    );
    assert_eq!(said(scene.ask(Do::Clone(2)).await), "missing version");
}

#[tokio::test]
async fn versions_of_a_deleted_or_foreign_service_are_out_of_reach() {
    let scene = Scene::new().await;
    let bob = scene.house.person("bob").await;
    let foreign = scene.house.service(bob.customer, "foreign").await;
    let gone = scene.house.service(scene.ada.customer, "gone").await;
    let delete = permit(&scene.token, Action::SERVICE_DELETE, Some(gone));
    scene.house.authority.delete_service(&delete, &at(noon())).await.unwrap();
    for what in [Do::Create(""), Do::Clone(1), Do::Comment(1, ""), Do::Lock(1), Do::Activate(1, Production)] {
        assert_eq!(said(scene.ask_of(foreign, what).await), "missing service");
        assert_eq!(said(scene.ask_of(gone, what).await), "deleted service");
    }
}

#[tokio::test]
async fn a_permit_for_one_is_none_for_the_other() {
    let scene = Scene::new().await;
    let (authority, origin) = (&scene.house.authority, at(noon()));
    let may = |action| permit(&scene.token, action, Some(scene.service));
    let update = may(Action::SERVICE_UPDATE);
    assert!(matches!(
        authority.activate_version(&update, &origin, 1, Production).await,
        Err(Fault::Permit(_))
    ));
    assert!(matches!(
        authority.deactivate_version(&update, &origin, 1, Production).await,
        Err(Fault::Permit(_))
    ));
    for other in [Action::SERVICE_ACTIVATE, Action::SERVICE_READ] {
        let other = may(other);
        assert!(matches!(authority.create_version(&other, &origin, "").await, Err(Fault::Permit(_))));
        assert!(matches!(authority.clone_version(&other, &origin, 1).await, Err(Fault::Permit(_))));
        assert!(matches!(authority.update_version(&other, &origin, 1, "").await, Err(Fault::Permit(_))));
        assert!(matches!(authority.lock_version(&other, &origin, 1).await, Err(Fault::Permit(_))));
    }
}

#[tokio::test]
async fn eight_that_clone_at_once_get_eight_numbers() {
    let scene = Scene::new().await;
    let clone = || scene.ask(Do::Clone(1));
    let made = tokio::join!(clone(), clone(), clone(), clone(), clone(), clone(), clone(), clone());
    let made = [made.0, made.1, made.2, made.3, made.4, made.5, made.6, made.7];
    let mut numbers: Vec<_> = made.into_iter().map(|version| version.unwrap().number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3, 4, 5, 6, 7, 8, 9]);
}
