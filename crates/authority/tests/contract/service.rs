use keygate_authority::{
    service::{Changes, NewService, Row},
    token::{self, Order},
};
use keygate_model::{Action, CustomerId, Record, ServiceId, Subject};

use serde_json::json;

use crate::house::{House, at, details, noon, operator, permit, said, seconds_later};

async fn create(
    house: &House,
    customer: CustomerId,
    name: &str,
    domains: &[&str],
) -> Result<Row, keygate_authority::Fault> {
    let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
    let new = NewService { name: name.to_owned(), domains, ..Default::default() };
    let id = ServiceId::from_bytes(house.ground.draw());
    house.authority.create_service(&operator(customer), &at(noon()), id, new).await
}

async fn delete(house: &House, by: &token::Row, id: ServiceId) -> String {
    let permit = permit(by, Action::SERVICE_DELETE, Some(id));
    said(house.authority.delete_service(&permit, &at(seconds_later(5))).await)
}

async fn update(house: &House, by: &token::Row, id: ServiceId, changes: Changes) -> String {
    let permit = permit(by, Action::SERVICE_UPDATE, Some(id));
    said(house.authority.update_service(&permit, &at(seconds_later(5)), changes).await)
}

fn renamed(name: &str) -> Changes {
    Changes { name: Some(name.to_owned()), ..Default::default() }
}

#[tokio::test]
async fn names_are_unique_in_a_house_and_domains_everywhere() {
    let house = House::new();
    let (ada, bob) = (house.customer().await, house.customer().await);
    create(&house, ada, "shop", &["shop.example", "www.shop.example"]).await.unwrap();
    let seen = house.count().await;
    assert_eq!(said(create(&house, ada, "shop", &[]).await), "taken service");
    assert_eq!(said(create(&house, ada, "other", &["free.example", "shop.example"]).await), "taken domain");
    assert_eq!(said(create(&house, bob, "shop", &["shop.example"]).await), "taken domain");
    assert_eq!(house.count().await, seen);
    // What was refused has claimed nothing.
    assert_eq!(said(create(&house, bob, "shop", &["free.example"]).await), "fine");
}

#[tokio::test]
async fn a_deleted_service_frees_its_name_and_domains() {
    let house = House::new();
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    let old = create(&house, ada.customer, "shop", &["shop.example"]).await.unwrap();
    let (reader, host) = (operator(ada.customer), "shop.example");
    assert_eq!(house.authority.service_at(&reader, host).await.unwrap(), Some(old.id));
    assert_eq!(delete(&house, &token, old.id).await, "fine");
    assert_eq!(house.authority.service_at(&reader, host).await.unwrap(), None);
    let new = create(&house, ada.customer, "shop", &["shop.example"]).await.unwrap();
    assert_eq!(house.authority.service_at(&reader, host).await.unwrap(), Some(new.id));
    // A gate keeps it, so that its id is answered as deleted.
    let house = house.reopen();
    assert!(matches!(house.told.last_about(Subject::Service(old.id)), Some(Record::Service(_))));
    house.count().await;
}

#[tokio::test]
async fn deleted_is_deleted_and_foreign_is_missing() {
    let house = House::new();
    let ada = house.person("ada").await;
    let bob = house.person("bob").await;
    let token = house.token(&ada).await;
    let gone = house.service(ada.customer, "gone").await;
    let foreign = house.service(bob.customer, "foreign").await;
    assert_eq!(delete(&house, &token, gone).await, "fine");
    let seen = house.count().await;
    for (id, told) in [
        (gone, "deleted service"),
        (foreign, "missing service"),
        (ServiceId::from_bits(1), "missing service"),
    ] {
        let read = permit(&token, Action::SERVICE_READ, Some(id));
        assert_eq!(said(house.authority.service(&read).await), told);
        assert_eq!(update(&house, &token, id, renamed("new")).await, told);
        assert_eq!(delete(&house, &token, id).await, told);
        let purge = permit(&token, Action::PURGE_ALL, Some(id));
        assert_eq!(said(house.authority.note_purge_all(&purge, &at(noon())).await), told);
    }
    assert_eq!(house.count().await, seen);
    assert_eq!(house.authority.service_at(&operator(ada.customer), "foreign").await.unwrap(), None);
}

#[tokio::test]
async fn a_host_of_another_house_is_nobodys() {
    let house = House::new();
    let (ada, bob) = (house.customer().await, house.customer().await);
    create(&house, bob, "shop", &["shop.example"]).await.unwrap();
    assert_eq!(house.authority.service_at(&operator(ada), "shop.example").await.unwrap(), None);
}

#[tokio::test]
async fn an_update_tells_old_and_new_of_what_changed() {
    let house = House::new();
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    let id = house.service(ada.customer, "shop").await;
    house.service(ada.customer, "taken").await;
    assert_eq!(update(&house, &token, id, renamed("taken")).await, "taken service");
    let both =
        Changes { name: Some("store".to_owned()), comment: Some("new".to_owned()), ..Default::default() };
    assert_eq!(update(&house, &token, id, both).await, "fine");
    let same_name =
        Changes { name: Some("store".to_owned()), comment: Some("newer".to_owned()), ..Default::default() };
    assert_eq!(update(&house, &token, id, same_name).await, "fine");
    let events = house.events(ada.customer).await;
    let told: Vec<_> = events.iter().filter(|row| row.kind == "service.update").map(details).collect();
    assert_eq!(
        told,
        [
            json!({ "old": { "name": "shop", "comment": "" }, "new": { "name": "store", "comment": "new" } }),
            json!({ "old": { "comment": "new" }, "new": { "comment": "newer" } }),
        ]
    );
    let row = house.authority.service(&permit(&token, Action::SERVICE_READ, Some(id))).await.unwrap();
    assert_eq!((row.name.as_str(), row.updated_at), ("store", seconds_later(5)));
    assert_eq!(said(create(&house, ada.customer, "shop", &[]).await), "fine");
}

#[tokio::test]
async fn a_limited_token_lists_only_its_own() {
    let house = House::new();
    let ada = house.person("ada").await;
    let bob = house.person("bob").await;
    let root = house.token(&ada).await;
    let (one, two) = (house.service(ada.customer, "one").await, house.service(ada.customer, "two").await);
    house.service(bob.customer, "three").await;
    let order = Order { services: Some(vec![two.to_string()]), ..Default::default() };
    let limited = house.child(&root, order).await.unwrap();
    let list = async |by| {
        let services = house.authority.services(&permit(by, Action::SERVICE_LIST, None)).await.unwrap();
        services.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(list(&root).await, [one, two]);
    assert_eq!(list(&limited).await, [two]);
    delete(&house, &root, two).await;
    assert_eq!(list(&root).await, [one]);
    assert_eq!(list(&limited).await, []);
}

#[tokio::test]
async fn odd_services_are_refused() {
    let house = House::new();
    let ada = house.customer().await;
    let make = async |new| {
        let id = ServiceId::from_bytes(house.ground.draw());
        said(house.authority.create_service(&operator(ada), &at(noon()), id, new).await)
    };
    let named = |name: &str| NewService { name: name.to_owned(), ..Default::default() };
    assert_eq!(make(named(" ")).await, "name_invalid");
    assert_eq!(make(NewService { comment: "a\0".to_owned(), ..named("a") }).await, "name_invalid");
    assert_eq!(make(NewService { kind: Some("php".to_owned()), ..named("a") }).await, "service_type_invalid");
    let nowhere = CustomerId::from_bits(1);
    assert_eq!(said(create(&house, nowhere, "a", &[]).await), "missing customer");
}

#[tokio::test]
async fn new_domains_take_the_place_of_the_old() {
    let house = House::new();
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    let shop = create(&house, ada.customer, "shop", &["shop.example", "old.example"]).await.unwrap();
    create(&house, ada.customer, "blog", &["blog.example"]).await.unwrap();
    let at_host = async |host: &str| house.authority.service_at(&operator(ada.customer), host).await.unwrap();
    let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
    let seen = house.count().await;
    let taken = Changes { domains: list(&["new.example", "blog.example"]), ..Default::default() };
    assert_eq!(update(&house, &token, shop.id, taken).await, "taken domain");
    assert_eq!(
        (house.count().await, at_host("old.example").await),
        (seen, Some(shop.id)),
        "nothing was changed"
    );
    assert_eq!(at_host("new.example").await, None);

    let domains = list(&["new.example", "shop.example", "new.example"]);
    let changes = Changes { domains, nodes: list(&["http://127.0.0.1:6081"]), ..Default::default() };
    assert_eq!(update(&house, &token, shop.id, changes).await, "fine");
    assert_eq!([at_host("old.example").await, at_host("new.example").await], [None, Some(shop.id)]);
    assert_eq!(at_host("shop.example").await, Some(shop.id));
    let events = house.events(ada.customer).await;
    let told = events.iter().rfind(|row| row.kind == "service.update").map(details);
    let old = json!({ "domains": ["shop.example", "old.example"], "nodes": [] });
    let new = json!({ "domains": ["new.example", "shop.example"], "nodes": ["http://127.0.0.1:6081"] });
    assert_eq!(told, Some(json!({ "old": old, "new": new })));
    // What was given up is free.
    assert_eq!(said(create(&house, ada.customer, "other", &["old.example"]).await), "fine");
    let none = Changes { domains: list(&[]), ..Default::default() };
    assert_eq!(update(&house, &token, shop.id, none).await, "fine");
    assert_eq!(at_host("shop.example").await, None);
    house.count().await;
}

#[tokio::test]
async fn the_operator_names_the_service_and_lists_have_an_end() {
    let house = House::new();
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    let id = house.service(ada.customer, "shop").await;
    let rename = async |permit, id| {
        said(house.authority.update_service_by_id(&permit, &at(noon()), id, renamed("store")).await)
    };
    assert_eq!(rename(operator(ada.customer), id).await, "fine");
    assert_eq!(house.authority.service_by_id(id).await.unwrap().name, "store");
    let bob = house.customer().await;
    assert_eq!(rename(operator(bob), id).await, "missing service");
    let tokens = permit(&token, Action::SERVICE_UPDATE, Some(id));
    assert!(rename(tokens, id).await.contains("Permit"), "only the operator's permit names no service");
    for (most, field) in [(256, "domains"), (64, "nodes")] {
        let many = |count: usize| Some((0..count).map(|n| format!("d{n}.example")).collect::<Vec<_>>());
        let with = |count| match field {
            "domains" => Changes { domains: many(count), ..Default::default() },
            _ => Changes { nodes: many(count), ..Default::default() },
        };
        assert_eq!(update(&house, &token, id, with(most + 1)).await, "list_too_long", "{field}");
        assert_eq!(update(&house, &token, id, with(most)).await, "fine", "{field}");
    }
}
