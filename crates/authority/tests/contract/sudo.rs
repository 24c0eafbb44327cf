use keygate_authority::{factor::FactorState, token::Row};
use keygate_model::Action;

use crate::house::{House, PASSWORD, at, noon, operator, password, permit, said, seconds_later};

async fn sudo(house: &House, token: &Row, login: Option<&str>, text: &str) -> String {
    let permit = permit(token, Action::SUDO_START, None);
    said(house.authority.start_sudo(&permit, &at(noon()), login, password(text)).await)
}

#[tokio::test]
async fn sudo_lasts_five_minutes_on_the_token_that_asked() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (one, two) = (house.token(&ada).await, house.token(&ada).await);
    let ask = permit(&one, Action::SUDO_START, None);
    let until = house.authority.start_sudo(&ask, &at(noon()), None, password(PASSWORD)).await.unwrap();
    assert_eq!(until, seconds_later(5 * 60));
    assert_eq!(house.told.token(one.id).unwrap().sudo_until, Some(until));
    assert_eq!(house.told.token(two.id).unwrap().sudo_until, None);
    let last = house.events(ada.customer).await.pop().unwrap();
    assert_eq!((last.kind.as_str(), last.user, last.token), ("user.sudo", Some(ada.id), Some(one.id)));
    let house = house.reopen();
    assert_eq!(house.told.token(one.id).unwrap().sudo_until, Some(until));
}

#[tokio::test]
async fn a_wrong_password_counts() {
    let house = House::with_burst(2);
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    let seen = house.count().await;
    for _ in 0..2 {
        assert_eq!(sudo(&house, &token, None, "not the password").await, "Failed");
    }
    assert!(sudo(&house, &token, None, PASSWORD).await.starts_with("TooMany"));
    assert!(said(house.order(&ada, Default::default()).await).starts_with("TooMany"));
    assert_eq!(house.since(seen, ada.customer).await, ["user.login_failure: password"; 2]);
    let last = house.events(ada.customer).await.pop().unwrap();
    assert_eq!((last.actor, last.token), (format!("token {}", token.id), Some(token.id)));
    assert_eq!(house.told.token(token.id).unwrap().sudo_until, None);
}

#[tokio::test]
async fn with_a_second_factor_the_token_must_have_been_made_with_it() {
    let house = House::new();
    let ada = house.person("ada").await;
    let without = house.token(&ada).await;
    let authenticator = house.enrol(&ada, FactorState::On).await;
    let with = house.try_code(&ada, &authenticator.code(noon()), noon()).await.unwrap();
    let child = house.child(&with, Default::default()).await.unwrap();
    let seen = house.count().await;
    assert_eq!(sudo(&house, &without, None, PASSWORD).await, "TokenWithoutFactor");
    assert_eq!(sudo(&house, &child, None, PASSWORD).await, "TokenWithoutFactor");
    assert_eq!(sudo(&house, &with, None, "not the password").await, "Failed");
    assert_eq!(house.count().await, seen + 3);
    assert_eq!(sudo(&house, &with, None, PASSWORD).await, "fine");
    assert_eq!(house.told.token(without.id).unwrap().sudo_until, None);
}

#[tokio::test]
async fn the_login_must_be_ones_own_in_any_spelling() {
    let house = House::new();
    let ada = house.person("ada").await;
    house.colleague(ada.customer, "bob").await;
    let token = house.token(&ada).await;
    for other in ["bob", "nobody", "", "a b"] {
        assert_eq!(sudo(&house, &token, Some(other), PASSWORD).await, "Failed", "{other:?}");
    }
    assert_eq!(house.told.token(token.id).unwrap().sudo_until, None);
    assert_eq!(sudo(&house, &token, Some(" ADA"), PASSWORD).await, "fine");
}

#[tokio::test]
async fn neither_a_revoked_token_nor_a_locked_person_gets_sudo() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (one, two) = (house.token(&ada).await, house.token(&ada).await);
    house.revoke(&one, &[two.id]).await.unwrap();
    assert_eq!(sudo(&house, &two, None, PASSWORD).await, "missing token");
    house.colleague(ada.customer, "bob").await;
    house.lock(&ada, true).await.unwrap();
    assert_eq!(sudo(&house, &one, None, PASSWORD).await, "Failed");
}

#[tokio::test]
async fn sudo_wants_its_own_permit_and_a_token() {
    let house = House::new();
    let ada = house.person("ada").await;
    let token = house.token(&ada).await;
    let start =
        async |permit| said(house.authority.start_sudo(&permit, &at(noon()), None, password(PASSWORD)).await);
    assert!(start(permit(&token, Action::TOKEN_READ, None)).await.starts_with("Permit"));
    assert_eq!(start(operator(ada.customer)).await, "Failed");
}
