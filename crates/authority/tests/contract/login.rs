use keygate_authority::{factor::FactorState, token::Order};

use serde_json::json;

use crate::house::{House, PASSWORD, at, attempt, details, noon, operator, said, seconds_later};

#[tokio::test]
async fn unknown_login_wrong_password_and_locked_person_are_told_alike() {
    let house = House::new();
    let ada = house.person("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    let cleo = house.colleague(ada.customer, "cleo").await;
    house.lock(&bob, true).await.unwrap();
    house.authority.delete_user(&operator(ada.customer), &at(noon()), cleo.id).await.unwrap();
    let tries = [("nobody", PASSWORD), ("ada", "not the password"), ("bob", PASSWORD), ("cleo", PASSWORD)];
    for (login, password) in tries {
        let before = house.told.position().0;
        let told = house.log_in(attempt(login, password, Some("000000")), Order::default(), noon()).await;
        // The event is in the feed before the answer.
        assert_eq!(house.told.position().0, before + 1, "{login}");
        assert_eq!(said(told), "Failed", "{login}");
    }
    // Whoever is gone has no login any more: what is tried with it is in nobody's log.
    let failures = house.since(house.told.position().0 - 4, ada.customer).await;
    let expected = ["password", "disabled"].map(|why| format!("user.login_failure: {why}"));
    assert_eq!(failures, expected);
    house.count().await;
}

#[tokio::test]
async fn a_login_tells_how_it_was_proved() {
    let house = House::new();
    let ada = house.person("ada").await;
    house.token(&ada).await;
    let authenticator = house.enrol(&ada, FactorState::On).await;
    house.try_code(&ada, &authenticator.code(noon()), noon()).await.unwrap();
    house.try_code(&ada, &authenticator.recovery[0], noon()).await.unwrap();
    let events = house.events(ada.customer).await;
    let told: Vec<_> = events.iter().filter(|row| row.kind == "user.login").map(details).collect();
    assert_eq!(
        told,
        [
            json!({ "second_factor": "none" }),
            json!({ "second_factor": "totp" }),
            json!({ "second_factor": "recovery_code", "recovery_codes_left": 9 }),
        ]
    );
}

#[tokio::test]
async fn ten_bad_codes_lock_the_factor_also_over_restarts() {
    let house = House::new();
    let ada = house.person("ada").await;
    let authenticator = house.enrol(&ada, FactorState::On).await;
    let wrong = authenticator.wrong_code(noon());
    let malformed = [" 28708", "２８", "+28708", "0287082", "28708\n"];
    let mut told = Vec::new();
    for code in malformed.into_iter().chain([wrong.as_str(); 4]) {
        told.push(said(house.try_code(&ada, code, noon()).await));
    }
    assert_eq!(told, [["CodeMalformed"; 5].as_slice(), &["CodeWrong"; 4]].concat());

    let house = house.reopen();
    assert_eq!(said(house.try_code(&ada, &wrong, noon()).await), "CodeWrong");
    let right = authenticator.code(noon());
    let seen = house.count().await;
    assert_eq!(said(house.try_code(&ada, &right, noon()).await), "FactorLocked");
    assert_eq!(house.since(seen, ada.customer).await, ["user.login_failure: factor_locked"]);

    let house = house.reopen();
    let later = seconds_later(24 * 3600);
    assert_eq!(said(house.try_code(&ada, &authenticator.code(later), later).await), "FactorLocked");
    assert_eq!(said(house.try_code(&ada, &authenticator.recovery[4], noon()).await), "fine");
    assert_eq!(said(house.try_code(&ada, &right, noon()).await), "fine");
}

#[tokio::test]
async fn a_recovery_code_is_good_for_once() {
    let house = House::new();
    let ada = house.person("ada").await;
    let authenticator = house.enrol(&ada, FactorState::On).await;
    let code = &authenticator.recovery[0];
    assert_eq!(said(house.try_code(&ada, code, noon()).await), "fine");
    assert_eq!(said(house.try_code(&ada, code, noon()).await), "CodeWrong");
    let house = house.reopen();
    assert_eq!(said(house.try_code(&ada, &code.to_lowercase(), noon()).await), "CodeWrong");
    assert_eq!(said(house.try_code(&ada, &authenticator.recovery[1].to_lowercase(), noon()).await), "fine");
}

#[tokio::test]
async fn a_code_is_good_for_once_while_it_is_shown_and_after() {
    let house = House::new();
    let ada = house.person("ada").await;
    let authenticator = house.enrol(&ada, FactorState::On).await;
    let code = authenticator.code(noon());
    assert_eq!(said(house.try_code(&ada, &code, noon()).await), "fine");
    let seen = house.count().await;
    for later in [0, 29, 59] {
        assert_eq!(said(house.try_code(&ada, &code, seconds_later(later)).await), "CodeReused", "{later}");
    }
    assert_eq!(house.since(seen, ada.customer).await, ["user.login_failure: one_time_code_reused"; 3]);
    assert_eq!(said(house.try_code(&ada, &code, seconds_later(60)).await), "CodeWrong");
    let house = house.reopen();
    assert_eq!(said(house.try_code(&ada, &code, seconds_later(29)).await), "CodeReused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_tries_at_once_with_one_code_one_succeeds() {
    let house = std::sync::Arc::new(House::new());
    let ada = std::sync::Arc::new(house.person("ada").await);
    let authenticator = house.enrol(&ada, FactorState::On).await;
    let code = authenticator.code(noon());
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (house, ada, code) = (house.clone(), ada.clone(), code.clone());
        tries.spawn(async move { said(house.try_code(&ada, &code, noon()).await) });
    }
    let mut told = tries.join_all().await;
    told.sort();
    assert_eq!(told, [["CodeReused"; 63].as_slice(), &["fine"]].concat());
    let living = house.authority.tokens_of_customer(&operator(ada.customer)).await.unwrap();
    assert_eq!(living.len(), 1);
    house.count().await;
}

#[tokio::test]
async fn spellings_of_a_login_share_one_bucket() {
    let house = House::with_burst(1);
    let ada = house.person("ada@example.com").await;
    house.colleague(ada.customer, "bob").await;
    let log_in =
        |login: &str, password| house.log_in(attempt(login, password, None), Order::default(), noon());
    assert_eq!(said(log_in("ADA@example.com", "not the password").await), "Failed");
    let seen = house.count().await;
    for spelling in ["ada@example.com", " Ada@Example.com", "ａda@example.com"] {
        assert!(said(log_in(spelling, PASSWORD).await).starts_with("TooMany"), "{spelling}");
    }
    assert_eq!(said(log_in("unknown", PASSWORD).await), "Failed");
    assert!(said(log_in("UNKNOWN", PASSWORD).await).starts_with("TooMany"));
    assert_eq!(said(log_in("bob", PASSWORD).await), "fine");
    // What the limiter refuses is no event: a stranger could fill the log.
    assert_eq!(house.count().await, seen + 3);
    let later = seconds_later(10 * 60);
    let forgiven = house.log_in(attempt("ada@example.com", PASSWORD, None), Order::default(), later).await;
    assert_eq!(said(forgiven), "fine");
}

/// Was wrong once: a wrong password is charged in `check` and again in `create_token_by_password`, so half as many are allowed;
/// and since a locked person's right password is charged once, the limiter tells it from a wrong one.
#[tokio::test]
async fn a_login_may_fail_as_often_as_the_limit_says() {
    let house = House::with_burst(4);
    house.person("ada").await;
    let mut told = Vec::new();
    for _ in 0..5 {
        let attempt = attempt("ada", "not the password", None);
        told.push(said(house.log_in(attempt, Order::default(), noon()).await));
    }
    assert_eq!(told[..4], ["Failed"; 4]);
    assert!(told[4].starts_with("TooMany"));
}

/// Was wrong once: a try is admitted before and charged after its password was hashed, so tries at once outrun the limit.
#[tokio::test]
async fn tries_at_once_do_not_outrun_the_limit() {
    let house = House::with_burst(1);
    house.person("ada").await;
    let try_once = || house.log_in(attempt("ada", "not the password", None), Order::default(), noon());
    let told = tokio::join!(try_once(), try_once(), try_once(), try_once());
    let told = [told.0, told.1, told.2, told.3].map(said);
    assert_eq!(told.iter().filter(|told| *told == "Failed").count(), 1, "{told:?}");
}

#[tokio::test]
async fn asking_for_the_code_counts_nothing() {
    let house = House::with_burst(1);
    let ada = house.person("ada").await;
    let authenticator = house.enrol(&ada, FactorState::On).await;
    let seen = house.count().await;
    for _ in 0..3 {
        assert_eq!(said(house.order(&ada, Order::default()).await), "CodeRequired");
    }
    assert_eq!(house.count().await, seen);
    assert_eq!(said(house.try_code(&ada, &authenticator.code(noon()), noon()).await), "fine");
}

/// A refused order undoes the whole change: login, step and recovery code as well. Nothing was given for the code, so
/// it is still good; and the order is no login, so there is no event of one.
#[tokio::test]
async fn a_refused_order_gives_the_code_back() {
    let house = House::with_burst(1);
    let ada = house.person("ada").await;
    let authenticator = house.enrol(&ada, FactorState::On).await;
    let bad = || Order { scope: Some("root".to_owned()), ..Default::default() };
    let seen = house.count().await;
    for code in [authenticator.code(noon()), authenticator.recovery[0].clone()] {
        let log_in = |order| house.log_in(attempt("ada", PASSWORD, Some(&code)), order, noon());
        assert_eq!(said(log_in(bad()).await), "scope_invalid");
        assert_eq!(house.count().await, seen);
    }
    for code in [authenticator.code(noon()), authenticator.recovery[0].clone()] {
        assert_eq!(said(house.try_code(&ada, &code, noon()).await), "fine");
    }
}

#[tokio::test]
async fn a_wrong_code_counts_although_the_order_is_bad_too() {
    let house = House::new();
    let ada = house.person("ada").await;
    let authenticator = house.enrol(&ada, FactorState::On).await;
    let seen = house.count().await;
    let bad = Order { scope: Some("root".to_owned()), ..Default::default() };
    let wrong = authenticator.wrong_code(noon());
    assert_eq!(said(house.log_in(attempt("ada", PASSWORD, Some(&wrong)), bad, noon()).await), "CodeWrong");
    assert_eq!(house.since(seen, ada.customer).await, ["user.login_failure: one_time_code"]);
}
