use keygate_authority::{factor::FactorState, token::Order};
use keygate_model::{Action, Record, ServiceId, Subject, customer::CustomerState};

use super::{intruder, named, tamper, x};
use crate::house::{House, PASSWORD, at, attempt, noon, operator, permit, said};

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
        house.enrol(&victim, FactorState::On).await;
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
        // Who is gone has no login, and so nobody looks for their row.
        let refusal = if edit.contains("deleted") { "Failed" } else { "tampered user" };
        assert_eq!(said(house.order(victim, Order::default()).await), refusal, "{edit}");
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
    let (active, odd) =
        (house.service(ada.customer, "active").await, house.service(ada.customer, "odd").await);
    let delete = permit(&root, Action::SERVICE_DELETE, Some(back));
    house.authority.delete_service(&delete, &at(noon())).await.unwrap();
    house.authority.set_customer_state(&operator(bob), &at(noon()), CustomerState::Suspended).await.unwrap();
    let whose = |id: ServiceId| format!("WHERE id = {}", x(&id.to_bytes()));
    tamper(&house, &format!("UPDATE services SET customer_id = {} {}", x(&bob.to_bytes()), whose(moved)));
    tamper(&house, &format!("UPDATE services SET deleted_at = NULL {}", whose(back)));
    tamper(&house, &format!("UPDATE services SET domains = 'victim.example' {}", whose(edited)));
    let activate = "UPDATE services SET versions = replace(versions, ' --- ', ' a-l ')";
    tamper(&house, &format!("{activate} {}", whose(active)));
    tamper(&house, &format!("UPDATE services SET versions = '' {}", whose(odd)));
    let claim = format!("INSERT INTO domains VALUES ('victim.example', {})", x(&edited.to_bytes()));
    tamper(&house, &claim);
    tamper(&house, "UPDATE customers SET state = 'active' WHERE state = 'suspended'");
    let house = house.reopen();
    let mut expected: Vec<_> =
        [moved, back, edited, active, odd].map(|id| ("service", id.to_string())).into();
    expected.push(("customer", bob.to_string()));
    let mut named = named(&house).await;
    expected.sort();
    named.sort();
    assert_eq!(named, expected);
    for id in [moved, back, edited, active, odd] {
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
