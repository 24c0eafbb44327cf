use std::{collections::HashMap, sync::Arc};

use keygate_authority::{
    event::{Filter, Row},
    factor::FactorState,
    service::{Changes, NewService},
    token::Order,
    user,
};
use keygate_model::{
    Action, CustomerId, EventId, Position, ServiceId, TokenId, UserId, customer::CustomerState,
};

use crate::house::{
    House, PASSWORD, Person, at, attempt, details, noon, operator, password, permit, said, seconds_later,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_are_dense_and_told_in_commit_order_under_eight_writers() {
    let house = Arc::new(House::new());
    let customer = house.customer().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let house = Arc::clone(&house);
        writers.spawn(async move {
            for nth in 0..12 {
                let id = house.service(customer, &format!("{writer}-{nth}")).await;
                let taken = NewService { name: format!("{writer}-{nth}"), ..Default::default() };
                let again = ServiceId::from_bits(id.bits() ^ 1);
                let refused =
                    house.authority.create_service(&operator(customer), &at(noon()), again, taken).await;
                assert_eq!(said(refused), "taken service");
            }
        });
    }
    writers.join_all().await;
    let events = house.events(customer).await;
    let positions: Vec<_> = events.iter().map(|row| row.position.0).collect();
    assert_eq!(positions, (1..=97).collect::<Vec<_>>());
    for writer in 0..8 {
        let own = events.iter().filter(|row| row.description.contains(&format!("'{writer}-")));
        let names: Vec<_> = own.map(|row| row.description.clone()).collect();
        let expected: Vec<_> = (0..12).map(|nth| format!("Service '{writer}-{nth}' was created")).collect();
        assert_eq!(names, expected);
    }
    let told: Vec<_> = house.told.batches().iter().map(|batch| batch.position).collect();
    assert!(told.is_sorted(), "{told:?}");
    assert_eq!(house.told.position(), Position(97));
    assert_eq!(house.count().await, 97);
}

#[tokio::test]
async fn filters_narrow_and_pages_join() {
    let house = House::new();
    let ada = house.person("ada").await;
    let bob = house.person("bob").await;
    let root = house.token(&ada).await;
    let late =
        house.log_in(attempt("ada", PASSWORD, None), Order::default(), seconds_later(60)).await.unwrap();
    let service = house.service(ada.customer, "shop").await;
    house.token(&bob).await;
    let find = async |filter: Filter| {
        let page = house.authority.events(&operator(ada.customer), filter, 1, 100).await.unwrap();
        assert_eq!(page.total, page.rows.len() as u64);
        page.rows.into_iter().map(|row| row.kind).collect::<Vec<_>>()
    };
    let of = |kind: &str| Filter { kind: Some(kind.to_owned()), ..Default::default() };
    assert_eq!(find(of("token.create")).await, ["token.create"; 2]);
    assert_eq!(find(of("token.creat")).await, [""; 0]);
    assert_eq!(find(Filter { user: Some(bob.id), ..Default::default() }).await, [""; 0]);
    assert_eq!(find(Filter { service: Some(service), ..Default::default() }).await, ["service.create"]);
    assert_eq!(find(Filter { token: Some(root.id), ..Default::default() }).await, ["token.create"]);
    let from = Filter { from: Some(seconds_later(60)), ..Default::default() };
    assert_eq!(find(from.clone()).await, ["token.create", "user.login"]);
    assert_eq!(find(Filter { before: Some(seconds_later(60)), ..from.clone() }).await, [""; 0]);
    assert_eq!(find(Filter { token: Some(late.id), oldest_first: true, ..from }).await, ["token.create"]);

    let all = house.events(ada.customer).await;
    assert!(all.is_sorted_by_key(|row| row.position));
    let mut paged = Vec::new();
    for number in 1..=4 {
        let page =
            house.authority.events(&operator(ada.customer), Filter::default(), number, 2).await.unwrap();
        assert_eq!(page.total, 7);
        paged.extend(page.rows.into_iter().map(|row| row.position));
    }
    assert_eq!(paged, all.iter().rev().map(|row| row.position).collect::<Vec<_>>());
    let beyond =
        house.authority.events(&operator(ada.customer), Filter::default(), u64::MAX, 100).await.unwrap();
    assert_eq!((beyond.rows.len(), beyond.total), (0, 7));
}

#[tokio::test]
async fn an_event_is_found_in_its_own_house_alone() {
    let house = House::new();
    let (ada, bob) = (house.customer().await, house.customer().await);
    let id = house.events(ada).await[0].id;
    let found = house.authority.event(&operator(ada), id).await.unwrap();
    assert_eq!(
        (found.kind.as_str(), found.ip.as_str(), found.request_id.as_str()),
        ("customer.create", "192.0.2.7", "request-1")
    );
    assert_eq!(said(house.authority.event(&operator(bob), id).await), "missing event");
    assert_eq!(said(house.authority.event(&operator(ada), EventId::from_bits(1)).await), "missing event");
}

#[tokio::test]
async fn every_verb_tells_who_did_what_to_which() {
    let house = House::new();
    let mut cast = Cast::default();
    let ada = house.person("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    cast.users.extend([(ada.id, "ada"), (bob.id, "bob")]);
    cast.customers.insert(ada.customer, "house");
    by_the_operator(&house, &ada).await;
    by_tokens(&house, &ada, &mut cast).await;
    let told: Vec<_> = house.events(ada.customer).await.iter().map(|row| cast.line(row)).collect();
    assert_eq!(told, EVERY_VERB);
    // Nobody's login is in nobody's house.
    let seen = house.count().await;
    house.log_in(attempt("nobody", PASSWORD, None), Order::default(), noon()).await.ok();
    assert_eq!(house.count().await, seen + 1);
    assert_eq!(house.since(seen, ada.customer).await, [""; 0]);

    let house = house.reopen();
    assert_eq!(house.count().await, seen + 1);
}

/// Kind, actor, customer, user, service, token.
const EVERY_VERB: [&str; 25] = [
    "customer.create by operator: house - - -",
    "user.create by operator: house ada - -",
    "user.create by operator: house bob - -",
    "customer.update by operator: house - - -",
    "customer.update by operator: house - - -",
    "user.update by operator: house ada - -",
    "user.lock by operator: house ada - -",
    "user.unlock by operator: house ada - -",
    "two_factor_auth.enable by operator: house ada - -",
    "two_factor_auth.enable by operator: house ada - -",
    "user.login_failure by person: house ada - -",
    "user.login by person: house ada - -",
    "token.create by person: house ada - root",
    "user.sudo by token root: house ada - root",
    "user.login_failure by token root: house ada - root",
    "token.create by token root: house ada - child",
    "service.create by token root: house ada shop root",
    "service.update by token root: house ada shop root",
    "service.purge_all by token root: house ada shop root",
    "service.delete by token root: house ada shop root",
    "token.destroy by token root: house ada - child",
    "token.destroy by token root: house ada - root",
    "user.login by person: house ada - -",
    "token.create by person: house ada - second",
    "token.destroy by operator: house ada - second",
];

async fn by_the_operator(house: &House, ada: &Person) {
    let (authority, operator) = (&house.authority, operator(ada.customer));
    for state in [CustomerState::Suspended, CustomerState::Active] {
        authority.set_customer_state(&operator, &at(noon()), state).await.expect("done");
    }
    let engineer = user::Changes::role("engineer");
    authority.update_user(&operator, &at(noon()), ada.id, engineer).await.expect("done");
    for locked in [true, false] {
        house.lock(ada, locked).await.expect("done");
    }
}

async fn by_tokens(house: &House, ada: &Person, cast: &mut Cast) {
    let authority = &house.authority;
    let authenticator = house.enrol(ada, FactorState::Waiting).await;
    let before = keygate_model::Timestamp::from_seconds(noon().seconds() - 30);
    let code = authenticator.code(before);
    authority
        .confirm_factor(&operator(ada.customer), &at(before), ada.id, code.as_bytes())
        .await
        .expect("done");
    house.try_code(ada, &authenticator.wrong_code(noon()), noon()).await.expect_err("a wrong code");
    let root = house.try_code(ada, &authenticator.code(noon()), noon()).await.expect("done");
    let may = |action| permit(&root, action, None);
    for text in [PASSWORD, "not the password"] {
        authority.start_sudo(&may(Action::SUDO_START), &at(noon()), None, password(text)).await.ok();
    }
    let child = house.child(&root, Order::default()).await.expect("done");

    let shop = ServiceId::from_bytes(house.ground.draw());
    let new = NewService { name: "shop".to_owned(), ..Default::default() };
    authority.create_service(&may(Action::SERVICE_CREATE), &at(noon()), shop, new).await.expect("done");
    let may_there = |action| permit(&root, action, Some(shop));
    let changes = Changes { name: Some("store".to_owned()), ..Default::default() };
    authority.update_service(&may_there(Action::SERVICE_UPDATE), &at(noon()), changes).await.expect("done");
    authority.note_purge_all(&may_there(Action::PURGE_ALL), &at(noon())).await.expect("done");
    authority.delete_service(&may_there(Action::SERVICE_DELETE), &at(noon())).await.expect("done");

    house.revoke(&root, &[child.id]).await.expect("done");
    authority.revoke_self(&may(Action::TOKEN_REVOKE_SELF), &at(noon())).await.expect("done");
    let second = house.try_code(ada, &authenticator.recovery[0], noon()).await.expect("done");
    authority.revoke(&operator(ada.customer), &at(noon()), vec![second.id]).await.expect("done");
    cast.services.insert(shop, "shop");
    cast.tokens.extend([(root.id, "root"), (child.id, "child"), (second.id, "second")]);
}

/// Names for ids, so that a table can be read.
#[derive(Default)]
struct Cast {
    customers: HashMap<CustomerId, &'static str>,
    users: HashMap<UserId, &'static str>,
    services: HashMap<ServiceId, &'static str>,
    tokens: HashMap<TokenId, &'static str>,
}

impl Cast {
    fn line(&self, row: &Row) -> String {
        let mut actor = row.actor.clone();
        for (id, name) in &self.tokens {
            actor = actor.replace(&id.to_string(), name);
        }
        let customer = row.customer.map_or("-", |id| self.customers[&id]);
        let user = row.user.map_or("-", |id| self.users[&id]);
        let service = row.service.map_or("-", |id| self.services[&id]);
        let token = row.token.map_or("-", |id| self.tokens[&id]);
        format!("{} by {actor}: {customer} {user} {service} {token}", row.kind)
    }
}

#[tokio::test]
async fn a_refused_verb_leaves_neither_row_nor_event() {
    let house = House::new();
    let ada = house.person("ada").await;
    let bob = house.person("bob").await;
    let (seen, told) = (house.count().await, house.told.batches().len());
    let (authority, origin) = (&house.authority, at(noon()));
    let in_adas = operator(ada.customer);
    assert_eq!(said(authority.create_customer(&origin, CustomerId::from_bits(1), " ").await), "name_invalid");
    let update = async |person: &Person, changes| {
        said(authority.update_user(&in_adas, &origin, person.id, changes).await)
    };
    assert_eq!(update(&bob, user::Changes::locked(true)).await, "missing user");
    assert_eq!(update(&ada, user::Changes::role("king")).await, "role_invalid");
    assert_eq!(update(&bob, user::Changes::role("user")).await, "missing user");
    let nowhere = operator(CustomerId::from_bits(1));
    let suspended = authority.set_customer_state(&nowhere, &origin, CustomerState::Suspended).await;
    assert_eq!(said(suspended), "missing customer");
    assert_eq!((house.count().await, house.told.batches().len()), (seen, told));
    assert_eq!(said(authority.customer(CustomerId::from_bits(1)).await), "missing customer");
    assert_eq!(authority.user(bob.customer, bob.id).await.unwrap().role, "superuser");
}

/// Was wrong once: the old role is read before the change begins, so of two changes at once one tells an old role that it did not
/// find.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn role_changes_tell_the_role_that_they_replaced() {
    let house = House::new();
    let ada = house.person("ada").await;
    house.colleague(ada.customer, "bob").await;
    let (operator, origin) = (operator(ada.customer), at(noon()));
    for _ in 0..10 {
        let change =
            |role| house.authority.update_user(&operator, &origin, ada.id, user::Changes::role(role));
        let (one, two, three) = tokio::join!(change("engineer"), change("billing"), change("user"));
        one.and(two).and(three).unwrap();
    }
    let events = house.events(ada.customer).await;
    let changes = events.iter().filter(|row| ["user.update", "user.promote"].contains(&row.kind.as_str()));
    let mut role = "superuser".to_owned();
    for change in changes {
        let details = details(change);
        if details["new"].get("role").is_none() {
            continue;
        }
        assert_eq!(details["old"]["role"], role.as_str(), "at {}", change.position.0);
        role = details["new"]["role"].as_str().unwrap().to_owned();
    }
}

/// Was wrong once: making a thing under an id that is taken is an upsert: it overwrites the name and leaves a row that fails its
/// seal, which takes a whole customer down.
#[tokio::test]
async fn an_id_that_is_taken_is_refused() {
    let house = House::new();
    let ada = house.customer().await;
    let again = house.authority.create_customer(&at(seconds_later(1)), ada, "Mallory's").await;
    assert!(again.is_err());
    assert_eq!(house.authority.customer(ada).await.unwrap().name, "Ada's");
}
