use std::{sync::Arc, time::Duration};

use keygate_authority::{factor::FactorState, token::Order, user::Changes};
use keygate_model::{Action, Deny, Permit, Verdict, customer::CustomerState, user::Login};

use crate::{
    ask::automation,
    house::{House, PASSWORD, Person, at, attempt, noon, operator, said, seconds_later},
};

const OTHER: &str = "another long enough one";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_serves_once_however_many_use_it() {
    let house = Arc::new(House::new());
    let ada = house.person("ada").await;
    let (code, _) = house.reset_link("ada", noon()).await.unwrap();
    let mut tries = tokio::task::JoinSet::new();
    for nth in 0..64 {
        let (house, code) = (Arc::clone(&house), code.clone());
        tries.spawn(async move { said(house.reset(&code, &format!("{OTHER} {nth}"), noon()).await) });
    }
    let told = tries.join_all().await;
    assert_eq!(told.iter().filter(|told| *told == "fine").count(), 1, "{told:?}");
    assert!(told.iter().all(|told| ["fine", "link_invalid"].contains(&told.as_str())), "{told:?}");
    let changes = house.events(ada.customer).await;
    assert_eq!(changes.iter().filter(|event| event.kind == "user.password_update").count(), 1);
    house.nothing_tells(ada.customer, &[OTHER, &code, PASSWORD]).await;
}

#[tokio::test]
async fn a_link_serves_only_while_it_should() {
    let house = House::new();
    let ada = house.person("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    let (code, link) = house.reset_link("ada", noon()).await.unwrap();
    assert_eq!(link.until, seconds_later(3600));
    let dead = async |code: &str, now| assert_eq!(said(house.reset(code, OTHER, now).await), "link_invalid");
    dead(&code, seconds_later(3600)).await;
    dead("", noon()).await;
    dead(&code[1..], noon()).await;
    // Whatever must not log in must not set a password either.
    house.lock(&ada, true).await.unwrap();
    dead(&code, noon()).await;
    house.lock(&ada, false).await.unwrap();
    let set = async |state| {
        house.authority.set_customer_state(&operator(ada.customer), &at(noon()), state).await.unwrap();
    };
    set(CustomerState::Suspended).await;
    dead(&code, noon()).await;
    set(CustomerState::Active).await;
    // What cannot be a password does not use it up.
    assert_eq!(said(house.reset(&code, "short", noon()).await), "password_too_short");
    assert_eq!(said(house.reset(&code, "password1", noon()).await), "password_breached");
    // Another one takes its place.
    let (newer, _) = house.reset_link("ada", noon()).await.unwrap();
    dead(&code, noon()).await;
    assert_eq!(said(house.reset(&newer, OTHER, seconds_later(3599)).await), "fine");
    dead(&newer, noon()).await;
    // And a changed password takes it back.
    let (third, _) = house.reset_link("bob", noon()).await.unwrap();
    assert_eq!(change(&house, &bob, PASSWORD, OTHER).await, "fine");
    dead(&third, noon()).await;
    assert_eq!(
        house.since(0, ada.customer).await.iter().filter(|kind| *kind == "user.password_update").count(),
        2
    );
}

async fn change(house: &House, person: &Person, old: &str, new: &str) -> String {
    let attempt = attempt(person.login.as_str(), old, None);
    let new = house.new_password(new);
    said(house.authority.change_password(None, &at(noon()), attempt, new).await)
}

#[tokio::test]
async fn a_link_for_nobody_is_asked_for_alike() {
    let house = House::new();
    let ada = house.person("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    house.lock(&bob, true).await.unwrap();
    for (login, is_somebody) in [("nobody", false), ("ada", true), ("bob", false)] {
        let before = house.count().await;
        let reset = house.reset_link(login, noon()).await;
        assert_eq!(reset.is_some(), is_somebody, "{login}");
        assert_eq!(house.count().await, before + 1, "{login}");
    }
    assert_eq!(
        house.since(0, ada.customer).await.iter().filter(|kind| *kind == "user.password_reset").count(),
        1
    );
}

/// Was wrong once: a new password that is not fit was hashed for nobody and not for somebody.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "measures")]
async fn a_new_password_tells_nothing_by_its_time() {
    let house = House::new();
    house.person("ada").await;
    let measured = async |login: &str| {
        let begun = std::time::Instant::now();
        let (attempt, new) = (attempt(login, OTHER, None), house.new_password("short"));
        assert_eq!(said(house.authority.change_password(None, &at(noon()), attempt, new).await), "Failed");
        begun.elapsed()
    };
    // What else the machine does only adds time.
    let (mut somebody, mut nobody) = (Duration::MAX, Duration::MAX);
    for _ in 0..12 {
        somebody = somebody.min(measured("ada").await);
        nobody = nobody.min(measured("nobody").await);
    }
    assert!(nobody < somebody * 3 / 2 && somebody < nobody * 3 / 2, "{somebody:?} {nobody:?}");
}

/// Was wrong once: a stranger could have an event written for each login that they made up.
#[tokio::test]
async fn strangers_ask_for_links_no_faster_than_they_may() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let ask = async |login: String, permit: Option<&Permit>, now| {
        let code = keygate_model::link::LinkCode::new(&house.ground.draw());
        let login = Login::parse(&login).unwrap();
        said(house.authority.request_reset(permit, &at(now), login, code).await)
    };
    for nth in 0..50 {
        assert_eq!(ask(format!("nobody{nth}"), None, noon()).await, "fine");
    }
    let seen = house.count().await;
    assert!(ask("nobody".to_owned(), None, noon()).await.starts_with("TooMany"));
    assert!(ask("ada".to_owned(), None, noon()).await.starts_with("TooMany"));
    assert_eq!(house.count().await, seen);
    let permit = house.may(&root, Action::PASSWORD_RESET);
    assert_eq!(ask(ada.login.to_string(), Some(&permit), noon()).await, "fine");
    assert_eq!(ask("ada".to_owned(), None, seconds_later(1)).await, "fine");
}

/// Was wrong once: whoever asked with a token was told of as the person for whom they asked.
#[tokio::test]
async fn a_link_asked_for_with_a_token_is_told_as_that_token_s() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    let permit = house.may(&root, Action::PASSWORD_RESET);
    let code = keygate_model::link::LinkCode::new(&house.ground.draw());
    house.authority.request_reset(Some(&permit), &at(noon()), bob.login.clone(), code).await.unwrap();
    let told = house.last(ada.customer, "user.password_reset").await;
    assert_eq!((told.user, told.actor), (Some(bob.id), format!("token {}", root.id)));
}

#[tokio::test]
async fn a_new_password_leaves_the_second_factor() {
    let house = House::new();
    let ada = house.person("ada").await;
    let authenticator = house.enrol(&ada, FactorState::On).await;
    let (code, _) = house.reset_link("ada", noon()).await.unwrap();
    house.reset(&code, OTHER, noon()).await.unwrap();
    assert!(house.authority.user(ada.customer, ada.id).await.unwrap().has_factor());
    assert_eq!(said(house.log_in_with("ada", OTHER).await), "CodeRequired");
    assert_eq!(said(house.log_in_with("ada", PASSWORD).await), "Failed");
    let with_code = attempt("ada", OTHER, Some(&authenticator.code(noon())));
    assert_eq!(said(house.log_in(with_code, Order::default(), noon()).await), "fine");
}

#[tokio::test]
async fn a_changed_password_kills_the_old_one() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    assert_eq!(change(&house, &ada, OTHER, "yet another one").await, "Failed");
    assert_eq!(change(&house, &ada, PASSWORD, "ada").await, "password_too_short");
    assert_eq!(change(&house, &ada, PASSWORD, "password123").await, "password_breached");
    assert_eq!(said(house.log_in_with("ada", PASSWORD).await), "fine");
    let permit = house.may(&root, Action::PASSWORD_CHANGE);
    // Hers is not for his.
    let his = attempt("bob", PASSWORD, None);
    let told =
        house.authority.change_password(Some(&permit), &at(noon()), his, house.new_password(OTHER)).await;
    assert_eq!(said(told), "Failed");
    assert_eq!(said(house.log_in_with(bob.login.as_str(), PASSWORD).await), "fine");
    let hers = attempt("ada", PASSWORD, None);
    let told =
        house.authority.change_password(Some(&permit), &at(noon()), hers, house.new_password(OTHER)).await;
    assert_eq!(said(told), "fine");
    assert_eq!(said(house.log_in_with("ada", PASSWORD).await), "Failed");
    assert_eq!(said(house.log_in_with("ada", OTHER).await), "fine");
    let event = house.last(ada.customer, "user.password_update").await;
    assert_eq!((event.user, event.actor_name.as_str()), (Some(ada.id), "API token"));
    house.nothing_tells(ada.customer, &[OTHER, PASSWORD, "argon2"]).await;
}

#[tokio::test]
async fn a_machine_changes_nobody_s_password() {
    let house = House::new();
    let (_, root) = house.boss("ada").await;
    let bot = house.automation(&root, automation("engineer")).await.unwrap();
    let told = house.verdict(&house.digest(bot.id), Action::PASSWORD_CHANGE, None);
    assert_eq!(told, Verdict::Deny(Deny::Machine(Action::PASSWORD_CHANGE)));
}

#[tokio::test]
async fn who_must_change_their_password_makes_no_token_before() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    let his = house.token_in_sudo(&bob).await;
    let must = Changes { must_change: Some(true), ..Default::default() };
    house.change_user(&root, bob.id, must).await.unwrap();
    assert_eq!(said(house.log_in_with("bob", PASSWORD).await), "PasswordExpired");
    assert_eq!(said(house.log_in_with("bob", OTHER).await), "Failed");
    let permit = house.may(&his, Action::TOKEN_CREATE);
    let child =
        house.authority.create_token(&permit, &at(noon()), Order::default(), house.ground.mint()).await;
    assert_eq!(said(child), "PasswordExpired");
    assert_eq!(said(house.automation(&his, automation("user")).await), "PasswordExpired");
    assert_eq!(change(&house, &bob, PASSWORD, OTHER).await, "fine");
    assert_eq!(said(house.log_in_with("bob", OTHER).await), "fine");
    assert_eq!(said(house.automation(&his, automation("user")).await), "fine");
}

#[tokio::test]
async fn whoever_has_no_password_yet_sets_one_by_a_link() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let new = keygate_authority::user::NewUser {
        id: keygate_model::UserId::from_bytes(house.ground.draw()),
        login: keygate_model::user::Login::parse("eve").unwrap(),
        name: "Eve".to_owned(),
        role: "engineer".to_owned(),
        limited: false,
        password: None,
    };
    house.authority.create_user(&house.may(&root, Action::USER_CREATE), &at(noon()), new).await.unwrap();
    for text in ["", PASSWORD] {
        assert_eq!(said(house.log_in_with("eve", text).await), "Failed");
    }
    let (code, _) = house.reset_link("eve", noon()).await.unwrap();
    house.reset(&code, OTHER, noon()).await.unwrap();
    assert_eq!(said(house.log_in_with("eve", OTHER).await), "fine");
    house.nothing_tells(ada.customer, &[OTHER, &code]).await;
}
