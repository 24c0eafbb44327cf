use keygate_authority::{
    customer::{Changes, Makers, NewContact},
    factor::FactorState,
};
use keygate_model::{Action, EventId, Networks, authorization::Permission, customer::CustomerState};

use crate::house::{House, at, details, noon, operator, said};

fn only(networks: &str) -> Changes {
    Changes { ip_whitelist: Some(Networks::parse(networks).expect("networks")), ..Default::default() }
}

fn forced(force: bool) -> Changes {
    Changes { force_2fa: Some(force), ..Default::default() }
}

#[tokio::test]
async fn networks_are_felt_at_the_gate_and_shut_nobody_out_who_sets_them() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let shop = house.service(ada.customer, "shop").await;
    assert_eq!(said(house.settle(&root, only("10.0.0.0/8")).await), "ip_whitelist_excludes_you");
    house.settle(&root, only("192.0.2.0/24")).await.unwrap();
    assert_eq!(house.asks(root.id, Action::EVENT_READ, None), "fine");
    let told = details(&house.last(ada.customer, "customer.update").await);
    assert_eq!(
        (&told["old"]["ip_whitelist"], &told["new"]["ip_whitelist"]),
        (&"0.0.0.0/0".into(), &"192.0.2.0/24".into())
    );
    // The operator is nowhere, and may.
    house.authority.update_customer(&operator(ada.customer), &at(noon()), only("10.0.0.0/8")).await.unwrap();
    assert_eq!(house.asks(root.id, Action::EVENT_READ, None), "ip_not_allowed");
    assert_eq!(house.asks(root.id, Action::PURGE_KEY, Some(shop)), "fine");
    let house = house.reopen();
    assert_eq!(house.asks(root.id, Action::EVENT_READ, None), "ip_not_allowed");
    house.authority.update_customer(&operator(ada.customer), &at(noon()), only("0.0.0.0/0")).await.unwrap();
    assert_eq!(house.asks(root.id, Action::EVENT_READ, None), "fine");
}

#[tokio::test]
async fn who_wants_a_second_factor_of_everybody_has_one() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    let his = house.token_in_sudo(&bob).await;
    assert_eq!(said(house.settle(&root, forced(true)).await), "two_factor_missing");
    let proved = house.proved(&ada).await;
    house.settle(&proved, forced(true)).await.unwrap();
    assert_eq!(house.asks(proved.id, Action::EVENT_READ, None), "fine");
    assert_eq!(house.asks(his.id, Action::EVENT_READ, None), "two_factor_required");
    assert_eq!(house.asks(his.id, Action::FACTOR_ENROL, None), "fine");
    let disable = house.may(&proved, Action::FACTOR_DISABLE);
    let disabled = async || said(house.authority.disable_factor(&disable, &at(noon()), ada.id).await);
    assert_eq!(disabled().await, "two_factor_forced");
    house.enrol(&bob, FactorState::On).await;
    assert_eq!(house.asks(his.id, Action::EVENT_READ, None), "fine");
    house.settle(&proved, forced(false)).await.unwrap();
    assert_eq!(disabled().await, "fine");
    // Nobody takes another's.
    let others = house.authority.disable_factor(&disable, &at(noon()), bob.id).await;
    assert_eq!(said(others), "missing user");
}

/// Somebody who is limited to services is a person like others: they can come to have what their customer wants of them.
#[tokio::test]
async fn who_is_limited_to_services_can_set_up_their_second_factor() {
    let house = House::new();
    let (ada, _) = house.boss("ada").await;
    let shop = house.service(ada.customer, "shop").await;
    let eve = house.hire(ada.customer, "eve", "engineer", true).await;
    house.grant(ada.customer, eve.id, shop, Permission::Full).await;
    let hers = house.token_in_sudo(&eve).await;
    for own in
        [Action::FACTOR_ENROL, Action::FACTOR_DISABLE, Action::PASSWORD_CHANGE, Action::USER_UPDATE_SELF]
    {
        assert_eq!(house.asks(hers.id, own, None), "fine", "{own:?}");
    }
}

#[tokio::test]
async fn settings_are_told_with_old_and_new_and_outlive_a_restart() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let changes = Changes {
        name: Some("Ada and Sons".to_owned()),
        token_lifetime_max_days: Some(Some(90)),
        never_expiring_tokens: Some(false),
        automation_token_makers: Some(Makers::Superusers),
        profile: [("phone_number".to_owned(), "12345".to_owned())].into(),
        ..Default::default()
    };
    house.settle(&root, changes.clone()).await.unwrap();
    let event = house.last(ada.customer, "customer.update").await;
    let told = details(&event);
    assert_eq!(told["old"]["token_lifetime_max_days"], serde_json::Value::Null);
    assert_eq!(told["new"]["token_lifetime_max_days"], 90);
    assert_eq!((&told["old"]["name"], &told["new"]["name"]), (&"Ada's".into(), &"Ada and Sons".into()));
    assert_eq!(told["new"]["automation_token_makers"], "superusers");
    assert_eq!(event.actor, format!("token {}", root.id));
    let seen = house.count().await;
    for days in [0, 3_651, u32::MAX] {
        let odd = Changes { token_lifetime_max_days: Some(Some(days)), ..Default::default() };
        assert_eq!(said(house.settle(&root, odd).await), "token_lifetime_invalid");
    }
    let unknown =
        Changes { profile: [("raw_api_key".to_owned(), "x".to_owned())].into(), ..Default::default() };
    assert_eq!(said(house.settle(&root, unknown).await), "unknown_field");
    assert_eq!(
        said(house.settle(&root, Changes { name: Some(String::new()), ..Default::default() }).await),
        "name_invalid"
    );
    assert_eq!(house.count().await, seen);
    let house = house.reopen();
    let row = house.authority.customer(ada.customer).await.unwrap();
    assert_eq!((row.settings.token_lifetime_max_days, row.settings.never_expiring_tokens), (Some(90), false));
    house.settle(&root, Changes { token_lifetime_max_days: Some(None), ..Default::default() }).await.unwrap();
    assert_eq!(house.authority.customer(ada.customer).await.unwrap().settings.token_lifetime_max_days, None);
}

#[tokio::test]
async fn contacts_come_and_go() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let (rival, rivals) = house.boss("rival").await;
    let add = async |new: NewContact| {
        let (permit, id) =
            (house.may(&root, Action::CUSTOMER_UPDATE), EventId::from_bytes(house.ground.draw()));
        house.authority.create_contact(&permit, &at(noon()), id, new).await
    };
    let contact = || NewContact {
        kind: "security".to_owned(),
        name: "Sue".to_owned(),
        email: "sue@example.com".to_owned(),
        ..Default::default()
    };
    assert_eq!(said(add(NewContact { kind: "odd".to_owned(), ..contact() }).await), "contact_invalid");
    assert_eq!(said(add(NewContact { email: String::new(), ..contact() }).await), "contact_invalid");
    assert_eq!(said(add(NewContact { user: Some(rival.id), ..contact() }).await), "missing user");
    let made = add(contact()).await.unwrap();
    let told = details(&house.last(ada.customer, "customer.update").await);
    assert_eq!(told["new"]["contact"]["contact_type"], "security");
    let remove = async |by, id: &str| {
        let permit = house.may(by, Action::CUSTOMER_UPDATE);
        said(house.authority.delete_contact(&permit, &at(noon()), id).await)
    };
    let id = made.id.to_string();
    assert_eq!(remove(&rivals, &id).await, "missing contact");
    assert_eq!(remove(&root, &id).await, "fine");
    assert_eq!(remove(&root, &id).await, "missing contact");
    assert!(house.authority.customer(ada.customer).await.unwrap().contacts.is_empty());
    house.count().await;
}

#[tokio::test]
async fn only_its_owner_closes_a_customer() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    let his = house.token_in_sudo(&bob).await;
    let close = async |by| {
        let permit = house.may(by, Action::CUSTOMER_DELETE);
        said(house.authority.close_customer(&permit, &at(noon())).await)
    };
    assert_eq!(close(&his).await, "not_the_owner");
    assert_eq!(house.asks(root.id, Action::EVENT_READ, None), "fine");
    assert_eq!(close(&root).await, "fine");
    assert_eq!(house.asks(root.id, Action::EVENT_READ, None), "tenant_suspended");
    assert_eq!(house.authority.customer(ada.customer).await.unwrap().state, CustomerState::Closed);
    let told = details(&house.last(ada.customer, "customer.update").await);
    assert_eq!((&told["old"]["state"], &told["new"]["state"]), (&"active".into(), &"closed".into()));
}
