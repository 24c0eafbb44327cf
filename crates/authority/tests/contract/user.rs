use keygate_authority::{Fault, factor::FactorState, user::Changes};
use keygate_model::{Action, authorization::Permission, user::Login};

use crate::house::{House, PASSWORD, at, details, noon, operator, said, seconds_later};

#[tokio::test]
async fn the_last_superuser_stays_one() {
    let house = House::new();
    let ada = house.person("ada").await;
    let root = house.proved(&ada).await;
    // Neither of them leads the customer.
    house.hire(ada.customer, "eve", "engineer", false).await;
    let bob = house.colleague(ada.customer, "bob").await;
    house.lock(&bob, true).await.unwrap();
    let seen = house.count().await;
    let disable = async || {
        let permit = house.may(&root, Action::FACTOR_DISABLE);
        house.authority.disable_factor(&permit, &at(noon()), ada.id).await
    };
    for changes in [Changes::role("engineer"), Changes::locked(true)] {
        assert_eq!(said(house.change_user(&root, ada.id, changes).await), "last_superuser");
    }
    let delete = house.may(&root, Action::USER_DELETE);
    for convert in [vec![], vec![root.id]] {
        let told = house.authority.offboard_user(&delete, &at(noon()), ada.id, convert).await;
        assert_eq!(said(told), "last_superuser");
    }
    assert_eq!(said(disable().await), "last_superuser");
    assert_eq!(house.count().await, seen);
    house.lock(&bob, false).await.unwrap();
    assert_eq!(said(disable().await), "fine");
    house.revoke(&root, &[root.id]).await.unwrap();
    let by_operator = house.authority.delete_user(&operator(ada.customer), &at(noon()), ada.id).await;
    assert_eq!(said(by_operator), "fine");
    let told = house.authority.delete_user(&operator(ada.customer), &at(noon()), bob.id).await;
    assert_eq!(said(told), "last_superuser");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_superusers_who_demote_each_other_one_is_left() {
    let house = House::new();
    let (ada, hers) = house.boss("ada").await;
    let bob = house.colleague(ada.customer, "bob").await;
    let his = house.token(&bob).await;
    let (by_her, by_him) =
        (house.may(&hers, Action::USER_UPDATE_ANY), house.may(&his, Action::USER_UPDATE_ANY));
    for _ in 0..20 {
        let demote = |permit, id| {
            let origin = at(noon());
            let house = &house;
            async move { house.authority.update_user(permit, &origin, id, Changes::role("user")).await.map(drop) }
        };
        let (one, two) = tokio::join!(demote(&by_her, bob.id), demote(&by_him, ada.id));
        let told = [said(one), said(two)];
        assert!(told.contains(&"fine".to_owned()) && told.iter().any(|told| told != "fine"), "{told:?}");
        for id in [ada.id, bob.id] {
            let back = Changes::role("superuser");
            house.authority.update_user(&operator(ada.customer), &at(noon()), id, back).await.unwrap();
        }
    }
}

#[tokio::test]
async fn one_s_own_name_is_ones_own_to_change_and_no_more() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let eve = house.hire(ada.customer, "eve", "engineer", false).await;
    let token = house.token(&eve).await;
    assert_eq!(house.asks(token.id, Action::USER_UPDATE_ANY, None), "insufficient_role");
    assert_eq!(house.asks(token.id, Action::USER_CREATE, None), "insufficient_role");
    let own = house.may(&token, Action::USER_UPDATE_SELF);
    let change = async |id, changes| said(house.authority.update_user(&own, &at(noon()), id, changes).await);
    let named = || Changes { name: Some("Eve the Second".to_owned()), ..Default::default() };
    assert_eq!(change(eve.id, named()).await, "fine");
    assert_eq!(change(ada.id, named()).await, "missing user");
    let login = keygate_model::user::Login::parse("ada2").ok();
    for more in [
        Changes::role("superuser"),
        Changes::role("user"),
        Changes::locked(false),
        Changes { login, ..named() },
        Changes { limited: Some(false), ..named() },
        Changes { must_change: Some(false), ..named() },
    ] {
        assert_eq!(change(eve.id, more).await, "not_yours_to_change");
    }
    let rival = house.person("rival").await;
    assert_eq!(said(house.change_user(&root, rival.id, named()).await), "missing user");
    let taken = Changes { login: Some(ada.login.clone()), ..Default::default() };
    assert_eq!(said(house.change_user(&root, eve.id, taken).await), "taken user");
}

#[tokio::test]
async fn a_change_of_a_person_is_felt_at_the_gate_and_told_with_old_and_new() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let eve = house.hire(ada.customer, "eve", "user", false).await;
    let token = house.token(&eve).await;
    let shop = house.service(ada.customer, "shop").await;
    let update = |id| house.asks(id, Action::SERVICE_UPDATE, Some(shop));
    assert_eq!(update(token.id), "insufficient_role");
    house.change_user(&root, eve.id, Changes::role("engineer")).await.unwrap();
    assert_eq!(update(token.id), "fine");
    let promoted = house.last(ada.customer, "user.promote").await;
    assert_eq!(details(&promoted)["old"]["role"], "user");
    assert_eq!(details(&promoted)["new"]["role"], "engineer");
    assert_eq!((promoted.actor, promoted.user), (format!("token {}", root.id), Some(eve.id)));
    let limit = Changes { limited: Some(true), ..Default::default() };
    house.change_user(&root, eve.id, limit.clone()).await.unwrap();
    assert_eq!(update(token.id), "service_not_granted");
    house.grant(ada.customer, eve.id, shop, Permission::Full).await;
    assert_eq!(update(token.id), "fine");
    let told = details(&house.last(ada.customer, "user.update").await);
    assert_eq!(
        (&told["old"]["limit_services"], &told["new"]["limit_services"]),
        (&false.into(), &true.into())
    );
    house.change_user(&root, eve.id, Changes::role("user")).await.unwrap();
    assert_eq!(update(token.id), "insufficient_role");
    assert_eq!(details(&house.last(ada.customer, "user.update").await)["new"]["role"], "user");
    house.change_user(&root, eve.id, Changes::locked(true)).await.unwrap();
    assert_eq!(update(token.id), "owner_disabled");
    house.change_user(&root, eve.id, Changes::locked(false)).await.unwrap();
    assert_eq!(update(token.id), "insufficient_role");
    assert_eq!(said(house.change_user(&root, ada.id, limit).await), "user_limited_superuser");
    assert_eq!(
        said(house.change_user(&root, eve.id, Changes::role("superuser")).await),
        "user_limited_superuser"
    );
    house.nothing_tells(ada.customer, &[PASSWORD, "argon2"]).await;
}

#[tokio::test]
async fn whoever_is_removed_leaves_a_free_login_and_dead_links() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let eve = house.hire(ada.customer, "eve", "engineer", false).await;
    let token = house.token(&eve).await;
    let (code, _) = house.reset_link("eve", noon()).await.unwrap();
    let delete = house.may(&root, Action::USER_DELETE);
    let remove = async || said(house.authority.delete_user(&delete, &at(noon()), eve.id).await);
    assert_eq!(remove().await, "user_has_tokens");
    house.revoke(&token, &[token.id]).await.unwrap();
    assert_eq!(remove().await, "fine");
    assert_eq!(remove().await, "missing user");
    let again = house.authority.offboard_user(&delete, &at(noon()), eve.id, Vec::new()).await;
    assert_eq!(said(again), "missing user");
    assert_eq!(said(house.change_user(&root, eve.id, Changes::locked(false)).await), "missing user");
    assert_eq!(said(house.try_enrol(&eve, FactorState::On).await), "missing user");
    assert_eq!(said(house.reset(&code, "a new long password", noon()).await), "link_invalid");
    let second = house.hire(ada.customer, "eve", "user", false).await;
    assert_ne!(second.id, eve.id);
    assert_eq!(said(house.reset(&code, "a new long password", noon()).await), "link_invalid");
    assert_eq!(said(house.log_in_with("eve", PASSWORD).await), "fine");
    let people = house.authority.users(&house.may(&root, Action::USER_READ_ANY)).await.unwrap();
    assert_eq!(people.iter().map(|row| row.id).collect::<Vec<_>>(), [ada.id, second.id]);
}

/// A mail that went to the old address must not give the account to whoever reads there.
#[tokio::test]
async fn a_link_dies_with_the_login_that_it_was_sent_to() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let eve = house.hire(ada.customer, "eve", "engineer", false).await;
    let (code, _) = house.reset_link("eve", noon()).await.unwrap();
    let moved = Changes { login: keygate_model::user::Login::parse("eve2").ok(), ..Default::default() };
    house.change_user(&root, eve.id, moved).await.unwrap();
    assert_eq!(said(house.reset(&code, "a new long password", seconds_later(1)).await), "link_invalid");
}

#[tokio::test]
async fn permits_for_something_else_change_nobody() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let wrong = house.may(&root, Action::TOKEN_READ);
    let (authority, origin) = (&house.authority, at(noon()));
    let told: [Result<(), Fault>; 4] = [
        authority.update_user(&wrong, &origin, ada.id, Changes::locked(false)).await.map(drop),
        authority.delete_user(&wrong, &origin, ada.id).await,
        authority.offboard_user(&wrong, &origin, ada.id, Vec::new()).await.map(drop),
        authority.users(&wrong).await.map(drop),
    ];
    for told in told {
        assert!(said(told).starts_with("Permit"));
    }
}

/// Was open once: a superuser's token that somebody found changed its person's login, had a link sent there, set a
/// password of its own by it, and so was in sudo.
#[tokio::test]
async fn a_found_token_alone_neither_takes_a_login_over_nor_makes_a_superuser() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let bob = house.hire(ada.customer, "bob", "engineer", false).await;
    let found = house.token(&ada).await;
    let taken = || Changes { login: Login::parse("mallory").ok(), ..Default::default() };
    for person in [ada.id, bob.id] {
        assert_eq!(said(house.change_user(&found, person, taken()).await), "SudoRequired");
    }
    assert_eq!(said(house.change_user(&found, bob.id, Changes::role("superuser")).await), "SudoRequired");
    assert_eq!(said(house.invite(&found, "mallory", "superuser", None).await), "SudoRequired");
    assert_eq!(said(house.change_user(&found, bob.id, Changes::role("user")).await), "fine");
    assert_eq!(said(house.change_user(&root, bob.id, Changes::role("superuser")).await), "fine");
    assert_eq!(said(house.change_user(&root, bob.id, taken()).await), "fine");
}
