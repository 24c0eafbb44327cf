use std::sync::Arc;

use keygate_authority::{
    customer::{Changes, Makers},
    token::{AutomationOrder, Idempotency, Order, Row},
    user,
};
use keygate_model::{Action, Expiry, ServiceId, Services, Timestamp};

use crate::{
    ask::{automation, automation_of},
    house::{House, at, noon, operator, said, seconds_later},
};

const MAKER: &str = "global automation_token:mint";
const DAY: u64 = 24 * 3600;

fn on(services: &[ServiceId]) -> Order {
    Order { services: Some(services.iter().map(ToString::to_string).collect()), ..Default::default() }
}

fn until(expires: Timestamp) -> Order {
    Order { expires: Some(expires), ..Default::default() }
}

fn ordered(role: &str, scope: &str, order: Order) -> AutomationOrder {
    AutomationOrder { order: Order { scope: Some(scope.to_owned()), ..order }, ..automation(role) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_has_a_hundred_living_tokens_and_not_one_more() {
    let house = Arc::new(House::new());
    let (ada, root) = house.boss("ada").await;
    for _ in 0..3 {
        house.child(&root, until(seconds_later(30))).await.unwrap();
        let gone = house.child(&root, Order::default()).await.unwrap();
        house.revoke(&root, &[gone.id]).await.unwrap();
        // Theirs to have made, and the customer's to have.
        house.automation(&root, automation("user")).await.unwrap();
    }
    for _ in 1..95 {
        house.child(&root, Order::default()).await.unwrap();
    }
    let permit = house.may(&root, Action::TOKEN_CREATE);
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let house = Arc::clone(&house);
        let (origin, minted) = (at(seconds_later(60)), house.ground.mint());
        tries.spawn(async move {
            said(house.authority.create_token(&permit, &origin, Order::default(), minted).await)
        });
    }
    let told = tries.join_all().await;
    assert_eq!(told.iter().filter(|told| *told == "fine").count(), 5);
    assert_eq!(told.iter().filter(|told| *told == "token_limit_reached").count(), 59);
    assert_eq!(said(house.log_in_with("ada", crate::house::PASSWORD).await), "token_limit_reached");
    let tokens = house.authority.tokens_of_user(&operator(ada.customer), ada.id).await.unwrap();
    house.revoke(&root, &[tokens.last().unwrap().row.id]).await.unwrap();
    assert_eq!(
        said(
            house
                .authority
                .create_token(&permit, &at(seconds_later(60)), Order::default(), house.ground.mint())
                .await
        ),
        "fine"
    );
    house.count().await;
}

#[tokio::test]
async fn a_token_lives_no_longer_than_its_customer_allows() {
    let house = House::new();
    let (_, root) = house.boss("ada").await;
    let set = async |days: Option<u32>, never: bool| {
        let changes = Changes {
            token_lifetime_max_days: Some(days),
            never_expiring_tokens: Some(never),
            ..Default::default()
        };
        house.settle(&root, changes).await.unwrap();
    };
    let days = |days: u64| seconds_later(days * DAY);
    let expires = async |order: Order| {
        let made = house.child(&root, order.clone()).await;
        let machine = house.automation(&root, AutomationOrder { order, ..automation("user") }).await;
        let pair = (made.map(|row| row.expires), machine.map(|row| row.expires));
        match pair {
            (Ok(one), Ok(two)) => Ok((one, two)),
            (one, two) => Err((said(one), said(two))),
        }
    };
    let both = |expiry| Ok((expiry, expiry));
    assert_eq!(expires(Order::default()).await, both(Expiry::Never));
    set(Some(30), true).await;
    assert_eq!(expires(Order::default()).await, both(Expiry::At(days(30))));
    assert_eq!(expires(until(days(30))).await, both(Expiry::At(days(30))));
    let invalid = Err(("expiry_invalid".to_owned(), "expiry_invalid".to_owned()));
    assert_eq!(expires(until(seconds_later(30 * DAY + 1))).await, invalid);
    set(Some(30), false).await;
    assert_eq!(expires(Order::default()).await, both(Expiry::At(days(30))));
    set(None, false).await;
    assert_eq!(expires(Order::default()).await, both(Expiry::At(days(365))));
    assert_eq!(expires(until(days(400))).await, both(Expiry::At(days(400))));
}

#[tokio::test]
async fn it_survives_whoever_made_it() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    house.colleague(ada.customer, "bob").await;
    let shop = house.service(ada.customer, "shop").await;
    let bot = house.automation(&root, automation("engineer")).await.unwrap();
    assert_eq!(
        (bot.user(), bot.role(), bot.creator, bot.parent),
        (None, Some("engineer"), Some(ada.id), Some(root.id))
    );
    let works = || assert_eq!(house.asks(bot.id, Action::PURGE_ALL, Some(shop)), "fine");
    works();
    let change = async |changes| {
        house.authority.update_user(&operator(ada.customer), &at(noon()), ada.id, changes).await.unwrap();
    };
    change(user::Changes::locked(true)).await;
    works();
    assert_eq!(house.asks(root.id, Action::PURGE_ALL, Some(shop)), "owner_disabled");
    change(user::Changes::locked(false)).await;
    change(user::Changes::role("user")).await;
    works();
    house.authority.offboard_user(&operator(ada.customer), &at(noon()), ada.id, Vec::new()).await.unwrap();
    works();
    let listed = house.authority.automation_tokens(&operator(ada.customer)).await.unwrap();
    assert_eq!(listed.iter().map(|used| used.row.creator).collect::<Vec<_>>(), [Some(ada.id)]);
    let house = house.reopen();
    assert_eq!(house.asks(bot.id, Action::PURGE_ALL, Some(shop)), "fine");
}

#[tokio::test]
async fn a_person_makes_none_that_is_wider_than_they_are() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let (shop, blog) = (house.service(ada.customer, "shop").await, house.service(ada.customer, "blog").await);
    let narrow = Order { expires: Some(seconds_later(3600)), ..on(&[shop]) };
    let narrow = house.child(&root, narrow).await.unwrap();
    house.sudo(&narrow).await;
    let made = house.automation(&narrow, automation("engineer")).await.unwrap();
    assert_eq!((made.scope.as_str(), made.expires), ("global", Expiry::At(seconds_later(3600))));
    assert_eq!(made.services, Services::only([shop]).unwrap());
    let rows = [
        (ordered("engineer", "global", on(&[shop, blog])), "wider"),
        (ordered("engineer", "global", until(seconds_later(3601))), "wider"),
        (ordered("engineer", "global", until(seconds_later(3600))), "fine"),
        (ordered("engineer", MAKER, Order::default()), "fine"),
        (ordered("superuser", "global", Order::default()), "role_invalid"),
        (ordered("king", "global", Order::default()), "role_invalid"),
        (ordered("user", "root", Order::default()), "scope_invalid"),
        (ordered("user", "global", until(noon())), "expiry_invalid"),
        (ordered("user", "global", on(&[ServiceId::from_bits(7)])), "service_not_found"),
    ];
    for (order, told) in rows {
        assert_eq!(said(house.automation(&narrow, order.clone()).await), told, "{order:?}");
    }
    let reader = house
        .child(&root, Order { scope: Some("global:read".to_owned()), ..Default::default() })
        .await
        .unwrap();
    assert_eq!(house.asks(reader.id, Action::AUTOMATION_TOKEN_CREATE, None), "read_only");
    let eve = house.hire(ada.customer, "eve", "engineer", false).await;
    let hers = house.token_in_sudo(&eve).await;
    assert_eq!(house.asks(hers.id, Action::AUTOMATION_TOKEN_CREATE, None), "insufficient_role");
    house.revoke(&root, &[narrow.id]).await.unwrap();
}

#[tokio::test]
async fn a_machine_with_the_right_makes_others_and_none_that_is_wider() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let (shop, blog) = (house.service(ada.customer, "shop").await, house.service(ada.customer, "blog").await);
    let order = Order { name: Some("deploy".to_owned()), expires: Some(seconds_later(3600)), ..on(&[shop]) };
    let maker = house.automation(&root, ordered("engineer", MAKER, order)).await.unwrap();
    let made = house.automation(&maker, automation("engineer")).await.unwrap();
    // The right to make tokens is given by naming it, and by nothing else.
    assert_eq!((made.scope.as_str(), made.creator, made.parent), ("global", Some(ada.id), Some(maker.id)));
    assert_eq!((made.services.clone(), made.expires), (maker.services.clone(), maker.expires));
    assert_eq!(house.asks(made.id, Action::AUTOMATION_TOKEN_CREATE, None), "minting_not_allowed");
    let event = house.last(ada.customer, "token.create").await;
    assert_eq!((event.actor, event.actor_name.as_str()), (format!("token {}", maker.id), "deploy"));
    let rows = [
        (ordered("engineer", "global", on(&[blog])), "wider"),
        (ordered("engineer", "global", until(seconds_later(3601))), "wider"),
        (ordered("billing", "global", Order::default()), "wider"),
        (ordered("superuser", "global", Order::default()), "role_invalid"),
        (ordered("user", "purge_all", Order::default()), "fine"),
        (ordered("engineer", MAKER, Order::default()), "fine"),
    ];
    for (order, told) in rows {
        assert_eq!(said(house.automation(&maker, order.clone()).await), told, "{order:?}");
    }
    let small = house.automation(&maker, automation_of("user", "purge_all")).await.unwrap();
    assert_eq!(house.asks(small.id, Action::AUTOMATION_TOKEN_CREATE, None), "minting_not_allowed");
    let purger =
        house.automation(&root, automation_of("engineer", "purge_all automation_token:mint")).await.unwrap();
    assert_eq!(said(house.automation(&purger, automation("engineer")).await), "wider");
    assert_eq!(
        said(house.automation(&purger, automation_of("engineer", "purge_all purge_select")).await),
        "wider"
    );
    assert_eq!(said(house.automation(&purger, automation_of("engineer", "purge_all")).await), "fine");
    // Its life is not its maker's: revoked, it makes no more, and what it made stays.
    let asked_before = house.may(&maker, Action::AUTOMATION_TOKEN_CREATE);
    house.authority.revoke(&operator(ada.customer), &at(noon()), vec![maker.id]).await.unwrap();
    let late = house
        .authority
        .create_automation_token(&asked_before, &at(noon()), automation("user"), house.ground.mint())
        .await;
    assert_eq!(said(late), "missing token");
    assert_eq!(house.asks(made.id, Action::SERVICE_READ, Some(shop)), "fine");
}

#[tokio::test]
async fn a_customer_says_who_makes_them() {
    let house = House::new();
    let (_, root) = house.boss("ada").await;
    let maker = house.automation(&root, automation_of("engineer", MAKER)).await.unwrap();
    let asks = |row: &Row| house.asks(row.id, Action::AUTOMATION_TOKEN_CREATE, None);
    for (makers, person, machine) in [
        (Makers::Superusers, "fine", "minting_not_allowed"),
        (Makers::Nobody, "minting_not_allowed", "minting_not_allowed"),
        (Makers::SuperusersAndTokens, "fine", "fine"),
    ] {
        let changes = Changes { automation_token_makers: Some(makers), ..Default::default() };
        house.settle(&root, changes).await.unwrap();
        assert_eq!((asks(&root), asks(&maker)), (person, machine), "{makers:?}");
    }
}

#[tokio::test]
async fn a_key_makes_one_token() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let maker = house.automation(&root, automation_of("engineer", MAKER)).await.unwrap();
    let keyed = |body: &[u8]| AutomationOrder {
        order: Order { idempotency: Some(Idempotency::new(b"key", body)), ..Default::default() },
        ..automation("user")
    };
    for by in [&root, &maker] {
        let first = house.automation(by, keyed(b"body")).await.unwrap();
        let again = said(house.automation(by, keyed(b"body")).await);
        assert!(again.starts_with("IdempotencyReplayed") && again.contains(&first.id.to_string()), "{again}");
        assert_eq!(said(house.automation(by, keyed(b"another")).await), "IdempotencyMismatch");
    }
    assert_eq!(house.authority.automation_tokens(&operator(ada.customer)).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_dead_token_in_use_is_told_of() {
    let house = House::new();
    let ada = house.person("ada").await;
    house.colleague(ada.customer, "bob").await;
    let token = house.token(&ada).await;
    let digest = house.digest(token.id);
    house.lock(&ada, true).await.unwrap();
    house.authority.note_owner_disabled(&at(noon()), digest).await.unwrap();
    let told = house.last(ada.customer, "token.owner_disabled").await;
    assert_eq!((told.token, told.user), (Some(token.id), Some(ada.id)));
    house.count().await;
}
