use keygate_authority::token::Order;
use keygate_model::{Expiry, ServiceId, Services, Timestamp};

use crate::house::{House, at, noon, operator, permit, said, seconds_later};

const TEN_YEARS: u64 = 10 * 366 * 24 * 3600;

fn scoped(scope: &str) -> Order {
    Order { scope: Some(scope.to_owned()), ..Default::default() }
}

fn until(expires: Timestamp) -> Order {
    Order { expires: Some(expires), ..Default::default() }
}

fn limited(services: &[ServiceId]) -> Order {
    Order { services: Some(services.iter().map(ToString::to_string).collect()), ..Default::default() }
}

fn named(name: &str) -> Order {
    Order { name: Some(name.to_owned()), ..Default::default() }
}

#[tokio::test]
async fn an_order_that_cannot_be_leaves_nothing_behind() {
    let house = House::new();
    let ada = house.person("ada").await;
    let parent = house.token(&ada).await;
    let (seen, told) = (house.count().await, house.told.batches().len());
    let past = Timestamp::from_micros(noon().micros() - 1);
    let rows = [
        (scoped(""), "scope_invalid"),
        (scoped(" "), "scope_invalid"),
        (scoped("root"), "scope_invalid"),
        (scoped("global root"), "scope_invalid"),
        (scoped("GLOBAL"), "scope_invalid"),
        (until(noon()), "expiry_invalid"),
        (until(past), "expiry_invalid"),
        (until(Timestamp::from_micros(i64::MIN)), "expiry_invalid"),
        (until(Timestamp::from_micros(i64::MAX)), "expiry_invalid"),
        (until(seconds_later(TEN_YEARS + 1)), "expiry_invalid"),
        (limited(&[]), "services_invalid"),
        (named(""), "name_invalid"),
        (named("two\nlines"), "name_invalid"),
        (named("\u{1b}[2J"), "name_invalid"),
        (named(&"x".repeat(256)), "name_invalid"),
    ];
    for (order, code) in rows {
        assert_eq!(said(house.child(&parent, order.clone()).await), code, "{order:?}");
    }
    assert_eq!(said(house.order(&ada, scoped("root")).await), "scope_invalid");
    assert_eq!((house.count().await, house.told.batches().len()), (seen, told));
    let living = house.authority.tokens_of_customer(&operator(ada.customer)).await.unwrap();
    assert_eq!(living.len(), 1);
}

#[tokio::test]
async fn the_longest_life_and_the_longest_name_are_fine() {
    let house = House::new();
    let ada = house.person("ada").await;
    let parent = house.token(&ada).await;
    let order = Order { name: Some("x".repeat(255)), ..until(seconds_later(TEN_YEARS)) };
    let child = house.child(&parent, order).await.unwrap();
    assert_eq!(child.expires, Expiry::At(seconds_later(TEN_YEARS)));
    let shortest = Timestamp::from_micros(noon().micros() + 1);
    assert_eq!(house.child(&parent, until(shortest)).await.unwrap().expires, Expiry::At(shortest));
}

#[tokio::test]
async fn a_service_must_be_there_ones_own_and_living() {
    let house = House::new();
    let ada = house.person("ada").await;
    let bob = house.person("bob").await;
    let parent = house.token(&ada).await;
    let (own, deleted) = (house.service(ada.customer, "one").await, house.service(ada.customer, "two").await);
    let foreign = house.service(bob.customer, "one").await;
    let delete = permit(&parent, keygate_model::Action::SERVICE_DELETE, Some(deleted));
    house.authority.delete_service(&delete, &at(noon())).await.unwrap();
    for odd in [deleted, foreign, ServiceId::from_bits(1)] {
        assert_eq!(said(house.child(&parent, limited(&[own, odd])).await), "service_not_found");
    }
    let malformed = Order { services: Some(vec!["no id!".to_owned()]), ..Default::default() };
    assert_eq!(said(house.child(&parent, malformed).await), "service_not_found");
    let child = house.child(&parent, limited(&[own, own])).await.unwrap();
    assert_eq!(child.services.listed(), [own]);
}

#[tokio::test]
async fn a_child_is_never_wider_in_services() {
    let house = House::new();
    let ada = house.person("ada").await;
    let root = house.token(&ada).await;
    let (one, two) = (house.service(ada.customer, "one").await, house.service(ada.customer, "two").await);
    let three = house.service(ada.customer, "three").await;
    let parent = house.child(&root, limited(&[two, one])).await.unwrap();
    assert_eq!(said(house.child(&parent, limited(&[three])).await), "wider");
    assert_eq!(said(house.child(&parent, limited(&[one, three])).await), "wider");
    assert_eq!(said(house.child(&parent, limited(&[])).await), "services_invalid");
    let silent = house.child(&parent, Order::default()).await.unwrap();
    assert_eq!(silent.services.listed(), [two, one]);
    let narrow = house.child(&parent, limited(&[one])).await.unwrap();
    assert_eq!(house.told.token(narrow.id).unwrap().services, Services::only([one]).unwrap());
    assert_eq!(said(house.child(&narrow, limited(&[two])).await), "wider");
}

#[tokio::test]
async fn a_child_is_never_wider_in_scope() {
    let house = House::new();
    let ada = house.person("ada").await;
    let root = house.token(&ada).await;
    let reader = house.child(&root, scoped("global:read")).await.unwrap();
    for wider in ["global", "purge_all", "global:read purge_all"] {
        assert_eq!(said(house.child(&reader, scoped(wider)).await), "wider", "{wider}");
    }
    assert_eq!(house.child(&reader, Order::default()).await.unwrap().scope, "global:read");
    let purger = house.child(&root, scoped("purge_all purge_select")).await.unwrap();
    let narrow = house.child(&purger, scoped("purge_select")).await.unwrap();
    assert_eq!(house.told.token(narrow.id).unwrap().scope, "purge_select");
    assert_eq!(said(house.child(&narrow, scoped("purge_all purge_select")).await), "wider");
}

#[tokio::test]
async fn a_child_never_lives_longer() {
    let house = House::new();
    let ada = house.person("ada").await;
    let root = house.token(&ada).await;
    let end = seconds_later(3600);
    let parent = house.child(&root, until(end)).await.unwrap();
    let longer = Timestamp::from_micros(end.micros() + 1);
    assert_eq!(said(house.child(&parent, until(longer)).await), "wider");
    for order in [until(end), Order::default()] {
        let child = house.child(&parent, order).await.unwrap();
        assert_eq!(house.told.token(child.id).unwrap().expires, Expiry::At(end));
    }
}

#[tokio::test]
async fn a_child_inherits_neither_sudo_nor_the_second_factor() {
    let house = House::new();
    let ada = house.person("ada").await;
    let authenticator = house.enrol(&ada, keygate_authority::factor::FactorState::On).await;
    let parent = house.try_code(&ada, &authenticator.code(noon()), noon()).await.unwrap();
    assert!(parent.second_factor);
    let sudo = permit(&parent, keygate_model::Action::SUDO_START, None);
    let password = crate::house::password(crate::house::PASSWORD);
    house.authority.start_sudo(&sudo, &at(noon()), None, password).await.unwrap();
    let child = house.child(&parent, Order::default()).await.unwrap();
    assert!(!child.second_factor && child.sudo_until.is_none());
    assert_eq!(house.told.token(child.id).unwrap().sudo_until, None);
}

#[tokio::test]
async fn a_revoked_parent_makes_no_child() {
    let house = House::new();
    let ada = house.person("ada").await;
    let parent = house.token(&ada).await;
    house.revoke(&parent, &[parent.id]).await.unwrap();
    let seen = house.count().await;
    assert_eq!(said(house.child(&parent, Order::default()).await), "missing token");
    assert_eq!(house.count().await, seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_child_is_born_after_its_parents_revoke() {
    let house = House::new();
    let ada = house.person("ada").await;
    let root = house.token(&ada).await;
    for _ in 0..40 {
        let parent = house.child(&root, Order::default()).await.unwrap();
        let ids = [parent.id];
        let (early, revoked, late) = tokio::join!(
            house.child(&parent, Order::default()),
            house.revoke(&root, &ids),
            house.child(&parent, Order::default()),
        );
        revoked.unwrap();
        let events = house.events(ada.customer).await;
        let of = |kind: &str, id| events.iter().find(|row| row.kind == kind && row.token == Some(id));
        let end = of("token.destroy", parent.id).unwrap().position;
        for child in [early, late].into_iter().flatten() {
            assert!(of("token.create", child.id).unwrap().position < end);
        }
    }
    house.count().await;
}

/// Was wrong once: the writer looks at the parent and not at the person, so a child that was asked for before a lock lands after
/// it, and lives once the person is unlocked (SECURITY-BAR K25-b: mint against disable).
#[tokio::test]
async fn a_locked_person_s_token_makes_no_child() {
    let house = House::new();
    let ada = house.person("ada").await;
    let parent = house.token(&ada).await;
    house.colleague(ada.customer, "bob").await;
    house.lock(&ada, true).await.unwrap();
    assert_ne!(said(house.child(&parent, Order::default()).await), "fine");
}
