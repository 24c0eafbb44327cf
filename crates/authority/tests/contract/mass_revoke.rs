use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use keygate_authority::{
    Authority, Fault,
    token::{Import, ImportOwner, ImportedSecret, Order, Row},
};
use keygate_model::{
    Action, CustomerId, Expiry, Permit, Services, TokenId,
    mass_revoke::{Criteria, Sort, Targets, Whose},
    token::Brand,
};

use crate::house::{House, Person, at, details, noon, operator, permit, said, seconds_later};

/// How often is looked, every 20 ms, until the noting of a mass revoke must be done: it may take its time on a busy machine.
const LOOKS: usize = 1000;

impl House {
    async fn mass_revoke(&self, whose: Whose, criteria: Criteria) -> Result<u64, Fault> {
        let customer = match whose {
            Whose::Customer(customer) => customer,
            Whose::Everybody => CustomerId::from_bits(0),
        };
        self.mass_revoke_by(&operator(customer), whose, criteria).await
    }

    async fn mass_revoke_by(&self, permit: &Permit, whose: Whose, criteria: Criteria) -> Result<u64, Fault> {
        let all = criteria == Criteria::default();
        let targets = Targets::new(whose, criteria, all).expect("targets");
        let origin = at(seconds_later(60));
        let would =
            self.authority.count_mass_revoke(permit, &origin, self.ground.draw(), targets.clone()).await;
        let done = self.authority.mass_revoke(permit, &origin, self.ground.draw(), targets).await;
        let done = done.map(|done| done.tokens);
        if let (Ok(would), Ok(done)) = (would, &done) {
            assert_eq!(would, *done, "what was foretold is what was done");
        }
        done
    }

    /// Waits until the log says of every token that it was revoked.
    async fn noted(&self, customer: CustomerId, mass_revokes: usize) {
        let mut noted = 0;
        for _ in 0..LOOKS {
            let events = self.events(customer).await;
            noted = events.iter().filter(|event| event.kind == "token.mass_revoke_noted").count();
            if noted >= mass_revokes {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{noted} of {mass_revokes} are noted");
    }

    /// Which tokens the log says were revoked, and how often.
    async fn destroyed(&self, customer: CustomerId) -> BTreeMap<String, usize> {
        let mut destroyed = BTreeMap::new();
        for event in self.events(customer).await.iter().filter(|event| event.kind == "token.destroy") {
            *destroyed.entry(details(event)["token_id"].as_str().expect("an id").to_owned()).or_default() +=
                1;
        }
        destroyed
    }

    fn alive(&self, tokens: &[Row]) -> BTreeSet<TokenId> {
        tokens.iter().map(|token| token.id).filter(|id| self.told.lives(*id)).collect()
    }

    async fn named(&self, by: &Person, name: &str, services: Option<Vec<String>>, seconds: u64) -> Row {
        let order = Order { name: Some(name.to_owned()), services, ..Order::default() };
        self.order_at(by, order, seconds).await
    }

    async fn order_at(&self, by: &Person, order: Order, seconds: u64) -> Row {
        let attempt = crate::house::attempt(by.login.as_str(), crate::house::PASSWORD, None);
        self.log_in(attempt, order, seconds_later(seconds)).await.expect("a token")
    }
}

/// What fits, said once more and by hand.
fn fits(token: &Row, criteria: &Criteria) -> bool {
    let limited_to = |service| match &token.services {
        Services::All => false,
        Services::Only(_) => token.services.listed().contains(&service),
    };
    let sort = match (token.foreign, token.user()) {
        (true, _) => Sort::Imported,
        (false, Some(_)) => Sort::User,
        (false, None) => Sort::Automation,
    };
    criteria.owner.is_none_or(|owner| token.user() == Some(owner))
        && criteria.service.is_none_or(limited_to)
        && criteria.issuer.is_none_or(|issuer| token.creator == Some(issuer))
        && criteria.parent.is_none_or(|parent| token.parent == Some(parent))
        && criteria.created_from.is_none_or(|from| token.created_at >= from)
        && criteria.created_before.is_none_or(|before| token.created_at < before)
        && criteria.sort.is_none_or(|wanted| wanted == sort)
        && criteria.name_prefix.as_ref().is_none_or(|prefix| token.name.starts_with(prefix.as_str()))
}

/// A house with tokens of many kinds, and every criterion that can be told apart in it.
async fn mixed(house: &House) -> (CustomerId, Vec<Row>, Vec<Criteria>) {
    let ada = house.person("ada").await;
    let customer = ada.customer;
    let bob = house.colleague(customer, "bob").await;
    let (shop, blog) = (house.service(customer, "shop").await, house.service(customer, "blog").await);
    let mut tokens = vec![house.named(&ada, "ci-build", None, 0).await];
    tokens.push(house.named(&ada, "CI-build", Some(vec![shop.to_string()]), 10).await);
    tokens.push(house.named(&bob, "ci-%_\u{e9}", Some(vec![blog.to_string(), shop.to_string()]), 20).await);
    tokens.push(house.named(&bob, "laptop", Some(vec![blog.to_string()]), 30).await);
    let child = Order { name: Some("child".to_owned()), ..Order::default() };
    tokens.push(house.child(&tokens[0], child).await.expect("a child"));
    let key = Import {
        id: TokenId::from_bytes(house.ground.draw()),
        secret: ImportedSecret::of_secret(b"legacy-key-0123456789", &Brand::default()).expect("a key"),
        name: "ci-old".to_owned(),
        owner: ImportOwner::Role("engineer".to_owned()),
        scope: "purge_select".to_owned(),
        services: None,
        expires: Expiry::Never,
    };
    let imported = key.id;
    let by = operator(customer);
    house.authority.import_tokens(&by, &at(noon()), vec![key], false, |_| ()).await.expect("an import");
    tokens.push(house.authority.token(&by, imported).await.expect("it").row);
    let none = Criteria::default;
    let criteria = vec![
        Criteria { owner: Some(ada.id), ..none() },
        Criteria { service: Some(shop), ..none() },
        Criteria { service: Some(blog), ..none() },
        Criteria { issuer: Some(bob.id), ..none() },
        Criteria { parent: Some(tokens[0].id), ..none() },
        Criteria { created_from: Some(seconds_later(20)), ..none() },
        Criteria { created_before: Some(seconds_later(20)), ..none() },
        Criteria { created_from: Some(seconds_later(5)), created_before: Some(seconds_later(25)), ..none() },
        Criteria { sort: Some(Sort::User), ..none() },
        Criteria { sort: Some(Sort::Imported), ..none() },
        Criteria { name_prefix: Some("ci-".to_owned()), ..none() },
        Criteria { name_prefix: Some("ci-%_\u{e9}".to_owned()), ..none() },
        Criteria { name_prefix: Some("ci-%".to_owned()), service: Some(blog), ..none() },
        Criteria { owner: Some(ada.id), service: Some(blog), ..none() },
        none(),
    ];
    (customer, tokens, criteria)
}

#[tokio::test]
async fn what_fits_is_counted_by_every_criterion() {
    let house = House::new();
    let (customer, tokens, criteria) = mixed(&house).await;
    for criteria in criteria {
        let meant = tokens.iter().filter(|token| fits(token, &criteria)).count();
        let targets =
            Targets::new(Whose::Customer(customer), criteria.clone(), criteria == Criteria::default())
                .unwrap();
        let (by, origin) = (operator(customer), at(seconds_later(60)));
        let count = house.authority.count_mass_revoke(&by, &origin, house.ground.draw(), targets).await;
        assert_eq!(count.unwrap() as usize, meant, "{criteria:?}");
    }
    assert_eq!(house.alive(&tokens).len(), tokens.len(), "counting revokes nothing");
    house.count().await;
}

#[tokio::test]
async fn what_fits_is_revoked_at_once_and_nothing_else() {
    let mut house = House::new();
    let (customer, tokens, criteria) = mixed(&house).await;
    let mut left: BTreeSet<_> = tokens.iter().map(|token| token.id).collect();
    // A service, a parent, a name, and then everything; some are there no more when it is their turn.
    for (nth, criteria) in [&criteria[2], &criteria[4], &criteria[10], &criteria[14]].into_iter().enumerate()
    {
        left.retain(|id| !tokens.iter().any(|token| token.id == *id && fits(token, criteria)));
        let done = house.mass_revoke(Whose::Customer(customer), criteria.clone()).await;
        assert!(done.unwrap() > 0);
        assert_eq!(house.alive(&tokens), left, "{criteria:?}");
        house.noted(customer, nth + 1).await;
        let destroyed = house.destroyed(customer).await;
        assert!(destroyed.values().all(|times| *times == 1), "each has its event, once: {destroyed:?}");
        assert_eq!(destroyed.len(), tokens.len() - left.len(), "{criteria:?}");
        house.count().await;
        house = house.reopen();
        assert_eq!(house.alive(&tokens), left, "{criteria:?}: also after a restart");
    }
    let again = house.mass_revoke(Whose::Customer(customer), Criteria::default()).await;
    assert_eq!(said(again), "nothing_to_revoke");
}

#[tokio::test]
async fn a_revoked_token_is_no_token_anywhere_before_its_row_says_so() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (root, token) = (house.token(&ada).await, house.token(&ada).await);
    let customer = ada.customer;
    let ground = std::sync::Arc::clone(&house.ground);
    drop(house);
    // A command that tells nobody notes nothing either.
    let command = Authority::open_silently(ground.settings()).unwrap();
    let targets = Targets::new(Whose::Customer(customer), Criteria::default(), true).unwrap();
    let origin = at(seconds_later(60));
    let spared = targets.sparing(root.id);
    let done = command.mass_revoke(&operator(customer), &origin, ground.draw(), spared).await.unwrap();
    assert_eq!(done.tokens, 1);
    let read = permit(&root, Action::TOKEN_READ_ANY, None);
    assert_eq!(said(command.token(&read, token.id).await), "missing token");
    let listed = command.tokens_of_customer(&read).await.unwrap();
    assert_eq!(listed.iter().map(|token| token.row.id).collect::<Vec<_>>(), [root.id]);
    let make = permit(&token, Action::TOKEN_CREATE, None);
    let child = command.create_token(&make, &origin, Order::default(), ground.mint()).await;
    assert!(child.is_err(), "a revoked token makes no other");
    let again = permit(&root, Action::TOKEN_REVOKE_ANY, None);
    assert_eq!(said(command.revoke(&again, &origin, vec![token.id]).await), "fine");
    let targets =
        Targets::new(Whose::Customer(customer), Criteria::default(), true).unwrap().sparing(root.id);
    let twice = command.mass_revoke(&operator(customer), &origin, ground.draw(), targets).await;
    assert_eq!(said(twice), "nothing_to_revoke");
    let audit = command.audit().await.unwrap();
    assert_eq!(audit.bad, []);
    assert_eq!(command.tokens_of_customer(&read).await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_starts_later_hears_of_none_of_them_and_notes_them() {
    let house = House::new();
    let ada = house.person("ada").await;
    let mut tokens = Vec::new();
    for _ in 0..70 {
        tokens.push(house.token(&ada).await);
    }
    let (ground, customer) = (std::sync::Arc::clone(&house.ground), ada.customer);
    let command = Authority::open_silently(ground.settings()).unwrap();
    let targets = Targets::new(Whose::Everybody, Criteria::default(), true).unwrap();
    drop(house);
    let origin = at(seconds_later(60));
    let by = operator(CustomerId::from_bits(0));
    assert_eq!(command.mass_revoke(&by, &origin, ground.draw(), targets).await.unwrap().tokens, 70);
    drop(command);
    let house = House::again(ground);
    assert_eq!(house.alive(&tokens).len(), 0, "none of them is told of");
    let mut looks = 0..LOOKS;
    while house.destroyed(customer).await.len() < 70 {
        assert!(looks.next().is_some(), "the rest is not noted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let later = house.token(&ada).await;
    assert!(house.told.lives(later.id), "what is made later is not meant");
    house.count().await;
}

#[tokio::test]
async fn two_that_overlap_note_every_token_once() {
    let house = House::new();
    let (customer, tokens, criteria) = mixed(&house).await;
    let command = Authority::open_silently(house.ground.settings()).unwrap();
    let whose = Whose::Customer(customer);
    let origin = at(seconds_later(60));
    let mut revoked = 0;
    // Two commits, one behind the other, before anybody can note the first.
    for criteria in [&criteria[10], criteria.last().unwrap()] {
        let targets = Targets::new(whose, criteria.clone(), *criteria == Criteria::default()).unwrap();
        let done = command.mass_revoke(&operator(customer), &origin, house.ground.draw(), targets).await;
        revoked += done.unwrap().tokens;
    }
    assert_eq!(revoked as usize, tokens.len(), "no token is counted twice");
    house.noted(customer, 2).await;
    let destroyed = house.destroyed(customer).await;
    assert_eq!((destroyed.len(), destroyed.values().sum::<usize>()), (tokens.len(), tokens.len()));
    assert_eq!(house.alive(&tokens).len(), 0);
    house.count().await;
}

#[tokio::test]
async fn nobody_reaches_another_customer() {
    let house = House::new();
    let (ada, eve) = (house.person("ada").await, house.person("eve").await);
    let (hers, theirs) = (house.token(&ada).await, house.token(&eve).await);
    let by = permit(&hers, Action::TOKEN_REVOKE_ANY, None);
    let (mine, other) = (Whose::Customer(ada.customer), Whose::Customer(eve.customer));
    let of = |owner| Criteria { owner: Some(owner), ..Criteria::default() };
    assert_eq!(said(house.mass_revoke_by(&by, mine, of(eve.id)).await), "nothing_to_revoke");
    assert_eq!(said(house.mass_revoke_by(&by, other, of(eve.id)).await), "missing customer");
    let everybody = house.mass_revoke_by(&by, Whose::Everybody, of(eve.id)).await;
    assert!(matches!(everybody, Err(Fault::Permit(_))), "{everybody:?}");
    let weaker = permit(&hers, Action::TOKEN_REVOKE, None);
    assert!(matches!(house.mass_revoke_by(&weaker, mine, of(ada.id)).await, Err(Fault::Permit(_))));
    assert!(house.told.lives(hers.id) && house.told.lives(theirs.id));
    assert_eq!(house.mass_revoke_by(&by, mine, of(ada.id)).await.unwrap(), 1);
    assert!(!house.told.lives(hers.id) && house.told.lives(theirs.id));
    house.noted(ada.customer, 1).await;
    let told = house.events(ada.customer).await;
    let by_her = told.iter().filter(|event| event.actor == format!("token {}", hers.id));
    let kinds: Vec<_> = by_her.map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["token.mass_revoke", "token.destroy", "token.mass_revoke_noted"]);
}

/// Also those whose rows do not say yet that they are revoked: where nobody tells gates, nobody notes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_revoked_at_once_makes_room_for_others() {
    let house = House::new();
    let ada = house.person("ada").await;
    let root = house.token(&ada).await;
    for _ in 1..100 {
        house.child(&root, Order::default()).await.unwrap();
    }
    assert_eq!(said(house.child(&root, Order::default()).await), "token_limit_reached");
    let ground = std::sync::Arc::clone(&house.ground);
    drop(house);
    let authority = Authority::open_silently(ground.settings()).unwrap();
    let owner = Criteria { owner: Some(ada.id), ..Criteria::default() };
    let targets = Targets::new(Whose::Customer(ada.customer), owner, false).unwrap().sparing(root.id);
    let (origin, id) = (at(seconds_later(60)), ground.draw());
    let done = authority.mass_revoke(&operator(ada.customer), &origin, id, targets).await.unwrap();
    assert_eq!(done.tokens, 99);
    for _ in 1..100 {
        let permit = permit(&root, Action::TOKEN_CREATE, None);
        authority.create_token(&permit, &origin, Order::default(), ground.mint()).await.unwrap();
    }
    let permit = permit(&root, Action::TOKEN_CREATE, None);
    let more = authority.create_token(&permit, &origin, Order::default(), ground.mint()).await;
    assert_eq!(said(more), "token_limit_reached");
}
