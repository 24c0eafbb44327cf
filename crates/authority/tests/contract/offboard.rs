use keygate_authority::{
    Fault,
    token::{Order, Row},
    user::{Changes, Converted},
};
use keygate_model::{Action, ServiceId, TokenId, authorization::Permission};

use crate::house::{House, PASSWORD, POLICY, Person, at, attempt, details, noon, said};

impl House {
    async fn offboard(&self, by: &Row, whom: &Person, convert: &[TokenId]) -> Result<Vec<Converted>, Fault> {
        let permit = self.may(by, Action::USER_DELETE);
        self.authority.offboard_user(&permit, &at(noon()), whom.id, convert.to_vec()).await
    }

    /// Everything that a token may do, on each of these services and on none.
    fn rights(&self, token: TokenId, services: &[ServiceId]) -> Vec<(String, Option<ServiceId>)> {
        let places = || services.iter().copied().map(Some).chain([None]);
        let asks =
            POLICY.names(POLICY.all()).into_iter().flat_map(|name| places().map(move |place| (name, place)));
        // Giving itself up is about no service, and nobody asks for it there.
        let real = asks.filter(|(name, place)| place.is_none() || *name != "token:revoke_self");
        real.filter(|(name, place)| {
            self.asks(token, POLICY.action(name).expect("an action"), *place) == "fine"
        })
        .map(|(name, place)| (name.to_owned(), place))
        .collect()
    }
}

#[tokio::test]
async fn what_is_handed_over_keeps_working_and_the_rest_stops() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let shop = house.service(ada.customer, "shop").await;
    let eve = house.hire(ada.customer, "eve", "engineer", false).await;
    let (deploy, laptop) = (house.token(&eve).await, house.token_in_sudo(&eve).await);
    let digest = house.digest(deploy.id);
    let handed = house.offboard(&root, &eve, &[deploy.id, deploy.id]).await.unwrap();
    assert_eq!(
        handed.iter().map(|one| (one.token, one.role.as_str())).collect::<Vec<_>>(),
        [(deploy.id, "engineer")]
    );
    assert_eq!(house.digest(deploy.id), digest);
    assert_eq!(house.asks(deploy.id, Action::PURGE_ALL, Some(shop)), "fine");
    assert_eq!(house.asks(laptop.id, Action::PURGE_ALL, Some(shop)), "owner_disabled");
    let told = house.last(ada.customer, "token.convert").await;
    assert_eq!(
        (told.user, told.token, told.actor.clone()),
        (Some(eve.id), Some(deploy.id), format!("token {}", root.id))
    );
    assert_eq!(
        (&details(&told)["new"]["role"], &details(&told)["old"]["user_id"]),
        (&"engineer".into(), &eve.id.to_string().into())
    );
    let kinds = house.since(0, ada.customer).await;
    assert!(kinds.ends_with(&["token.convert".to_owned(), "user.destroy".to_owned()]), "{kinds:?}");
    let row = house
        .authority
        .automation_token(&house.may(&root, Action::AUTOMATION_TOKEN_READ), deploy.id)
        .await
        .unwrap()
        .row;
    assert_eq!((row.creator, row.user(), row.sudo_until), (Some(eve.id), None, None));
    assert_eq!(said(house.log_in_with("eve", PASSWORD).await), "Failed");
    house.hire(ada.customer, "eve", "user", false).await;
    let house = house.reopen();
    assert_eq!(house.asks(deploy.id, Action::PURGE_ALL, Some(shop)), "fine");
    assert_eq!(house.asks(laptop.id, Action::PURGE_ALL, Some(shop)), "owner_disabled");
    house.count().await;
}

#[tokio::test]
async fn nothing_is_handed_over_that_is_refused_today() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let eve = house.hire(ada.customer, "eve", "engineer", false).await;
    let (token, gone) = (house.token(&eve).await, house.token(&eve).await);
    let (_, rivals) = house.boss("rival").await;
    house.revoke(&token, &[gone.id]).await.unwrap();
    let seen = house.count().await;
    for odd in [gone.id, root.id, rivals.id, TokenId::from_bits(7)] {
        assert_eq!(said(house.offboard(&root, &eve, &[token.id, odd]).await), "missing token");
    }
    assert_eq!(said(house.offboard(&rivals, &eve, &[]).await), "missing user");
    assert_eq!(house.count().await, seen);
    house.lock(&eve, true).await.unwrap();
    assert_eq!(said(house.offboard(&root, &eve, &[token.id]).await), "owner_disabled");
    house.lock(&eve, false).await.unwrap();
    let proved = house.proved(&ada).await;
    let force = keygate_authority::customer::Changes { force_2fa: Some(true), ..Default::default() };
    house.settle(&proved, force).await.unwrap();
    assert_eq!(said(house.offboard(&proved, &eve, &[token.id]).await), "owner_disabled");
    assert_eq!(said(house.offboard(&proved, &eve, &[]).await), "fine");
    assert_eq!(house.asks(token.id, Action::TOKEN_READ_SELF, None), "owner_disabled");
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll<T: Clone>(&mut self, of: &[T]) -> T {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        of[(self.0 >> 33) as usize % of.len()].clone()
    }
}

/// Was wrong once: the right to make automation tokens takes a person sudo, and a machine nothing more.
#[tokio::test]
async fn no_token_may_do_more_after_it_than_before() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let mut services = Vec::new();
    for name in ["one", "two", "three"] {
        services.push(house.service(ada.customer, name).await);
    }
    let (mut dice, mut converted, mut lost) = (Dice(1), 0, 0);
    for nth in 0..48 {
        let limited = dice.roll(&[true, true, false]);
        let roles = ["engineer", "engineer", "billing", "user", "superuser"];
        let role = dice.roll(if limited { &roles[..4] } else { &roles });
        let person = house.hire(ada.customer, &format!("p{nth}"), role, limited).await;
        for service in &services {
            if dice.roll(&[true, true, false]) {
                house.grant(ada.customer, person.id, *service, dice.roll(&Permission::ALL)).await;
            }
        }
        let scope = dice.roll(&[
            "global",
            "global:read",
            "purge_select",
            "purge_all",
            "purge_all purge_select",
            "global automation_token:mint",
            "automation_token:mint",
        ]);
        let list = dice.roll(&[None, Some(&services[..1]), Some(&services[..2])]);
        let ids = list.map(|list| list.iter().map(ToString::to_string).collect());
        let order = Order { scope: Some(scope.to_owned()), services: ids, ..Default::default() };
        let token =
            house.log_in(attempt(person.login.as_str(), PASSWORD, None), order, noon()).await.unwrap();
        if scope.starts_with("global") && scope != "global:read" && dice.roll(&[true, false]) {
            house.sudo(&token).await;
        }
        let before = house.rights(token.id, &services);
        let told = house.offboard(&root, &person, &[token.id]).await;
        if said(told.map(drop)) == "token_not_convertible" {
            assert_eq!(house.rights(token.id, &services), before);
            continue;
        }
        converted += 1;
        let after = house.rights(token.id, &services);
        lost += usize::from(after.len() < before.len());
        let more: Vec<_> = after.iter().filter(|right| !before.contains(right)).collect();
        assert!(more.is_empty(), "{role} limited: {limited}, {scope}, {list:?}: {more:?}");
        assert!(!after.is_empty());
    }
    assert!(converted > 20 && lost > 5, "{converted} {lost}");
    house.count().await;
}

#[tokio::test]
async fn somebody_limited_hands_over_what_they_have_in_full() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let (shop, blog) = (house.service(ada.customer, "shop").await, house.service(ada.customer, "blog").await);
    let eve = house.hire(ada.customer, "eve", "engineer", true).await;
    let order = |scope: &str| Order { scope: Some(scope.to_owned()), ..Default::default() };
    let all = house.order(&eve, order("global")).await.unwrap();
    let purges = house.order(&eve, order("purge_select")).await.unwrap();
    assert_eq!(said(house.offboard(&root, &eve, &[purges.id]).await), "token_not_convertible");
    house.grant(ada.customer, eve.id, shop, Permission::PurgeSelect).await;
    assert_eq!(said(house.offboard(&root, &eve, &[purges.id, all.id]).await), "token_not_convertible");
    house.grant(ada.customer, eve.id, blog, Permission::Full).await;
    house
        .change_user(&root, eve.id, Changes { name: Some("Eve".to_owned()), ..Default::default() })
        .await
        .unwrap();
    house.offboard(&root, &eve, &[purges.id, all.id]).await.unwrap();
    let asks = |token: &Row, action, service| house.asks(token.id, action, Some(service));
    assert_eq!(asks(&purges, Action::PURGE_KEY, shop), "fine");
    assert_eq!(asks(&all, Action::PURGE_KEY, shop), "service_not_granted");
    assert_eq!(asks(&all, Action::SERVICE_UPDATE, blog), "fine");
}
