use keygate_authority::{factor::FactorState, token::Order};

use crate::house::{Authenticator, House, Person, at, noon, operator, said, seconds_later};

async fn confirm(house: &House, person: &Person, code: &str) -> String {
    let operator = operator(person.customer);
    said(house.authority.confirm_factor(&operator, &at(noon()), person.id, code.as_bytes()).await)
}

async fn waiting(house: &House) -> (Person, Authenticator) {
    let ada = house.person("ada").await;
    let authenticator = house.enrol(&ada, FactorState::Waiting).await;
    (ada, authenticator)
}

#[tokio::test]
async fn a_waiting_factor_is_not_asked_for() {
    let house = House::new();
    let (ada, _) = waiting(&house).await;
    let token = house.order(&ada, Order::default()).await.unwrap();
    assert!(!token.second_factor);
    let events = house.events(ada.customer).await;
    let enabled = events.iter().find(|row| row.kind == "two_factor_auth.enable").unwrap();
    assert_eq!((enabled.user, enabled.metadata.as_str()), (Some(ada.id), r#"{"confirmed":false}"#));
}

#[tokio::test]
async fn a_code_confirms_and_is_used_up() {
    let house = House::new();
    let (ada, authenticator) = waiting(&house).await;
    let code = authenticator.code(noon());
    assert_eq!(confirm(&house, &ada, &code).await, "fine");
    assert_eq!(said(house.order(&ada, Order::default()).await), "CodeRequired");
    assert_eq!(said(house.try_code(&ada, &code, noon()).await), "CodeReused");
    let next = seconds_later(30);
    let token = house.try_code(&ada, &authenticator.code(next), next).await.unwrap();
    assert!(token.second_factor);
    assert_eq!(confirm(&house, &ada, &authenticator.code(next)).await, "missing user");
}

#[tokio::test]
async fn a_wrong_code_confirms_nothing_and_counts() {
    let house = House::new();
    let (ada, authenticator) = waiting(&house).await;
    let seen = house.count().await;
    for (code, refusal) in
        [(authenticator.wrong_code(noon()).as_str(), "CodeWrong"), ("12345", "CodeMalformed")]
    {
        assert_eq!(confirm(&house, &ada, code).await, refusal);
    }
    let failures = house.since(seen, ada.customer).await;
    let reasons =
        ["one_time_code", "one_time_code_malformed"].map(|why| format!("user.login_failure: {why}"));
    assert_eq!(failures, reasons);
    for _ in 0..8 {
        confirm(&house, &ada, "12345").await;
    }
    let house = house.reopen();
    assert_eq!(confirm(&house, &ada, &authenticator.code(noon())).await, "FactorLocked");
    assert_eq!(said(house.order(&ada, Order::default()).await), "fine");
}

#[tokio::test]
async fn nothing_waits_nothing_is_confirmed() {
    let house = House::new();
    let ada = house.person("ada").await;
    let bob = house.person("bob").await;
    let authenticator = house.enrol(&bob, FactorState::Waiting).await;
    let code = authenticator.code(noon());
    let seen = house.count().await;
    assert_eq!(confirm(&house, &ada, &code).await, "missing user");
    let across = Person { id: bob.id, customer: ada.customer, login: bob.login };
    assert_eq!(confirm(&house, &across, &code).await, "missing user");
    assert_eq!(house.count().await, seen);
}

#[tokio::test]
async fn a_new_factor_ends_the_old_codes() {
    let house = House::new();
    let ada = house.person("ada").await;
    let old = house.enrol(&ada, FactorState::On).await;
    let new = house.enrol(&ada, FactorState::On).await;
    assert_eq!(said(house.try_code(&ada, &old.recovery[0], noon()).await), "CodeWrong");
    assert_eq!(said(house.try_code(&ada, &old.code(noon()), noon()).await), "CodeWrong");
    assert_eq!(said(house.try_code(&ada, &new.code(noon()), noon()).await), "fine");
}

/// Was wrong once: a new factor replaces the old one at once, also while it only waits: until it is confirmed the person has none,
/// and the password alone is enough.
#[tokio::test]
async fn a_waiting_factor_leaves_the_one_in_force_in_force() {
    let house = House::new();
    let ada = house.person("ada").await;
    house.enrol(&ada, FactorState::On).await;
    // To refuse it would do as well.
    house.try_enrol(&ada, FactorState::Waiting).await.ok();
    assert_eq!(said(house.order(&ada, Order::default()).await), "CodeRequired");
}

/// Was wrong once: a recovery code confirms, although it proves nothing of the authenticator that is being confirmed.
#[tokio::test]
async fn a_recovery_code_does_not_confirm() {
    let house = House::new();
    let (ada, authenticator) = waiting(&house).await;
    assert_ne!(confirm(&house, &ada, &authenticator.recovery[0]).await, "fine");
    assert_eq!(said(house.order(&ada, Order::default()).await), "fine");
}
