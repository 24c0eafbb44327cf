use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use keygate_authority::token::{Import, ImportOwner, ImportedSecret};
use keygate_model::{
    Action, CustomerId, Expiry, ServiceId, Services, TokenId, Verdict,
    token::{Brand, Digest, Foreign, Presented},
};

use crate::house::{House, at, noon, operator, said, seconds_later};

/// Makes one key of a list wrong.
type Spoil = fn(&mut Import);

fn secret(nth: usize) -> String {
    format!("legacy-key-0123456789-{nth}")
}

fn hex(secret: &str) -> String {
    data_encoding::HEXLOWER.encode(Digest::of(secret.as_bytes()).bytes())
}

impl House {
    fn import(&self, secret: ImportedSecret) -> Import {
        Import {
            id: TokenId::from_bytes(self.ground.draw()),
            secret,
            name: "taken over".to_owned(),
            owner: ImportOwner::Role("engineer".to_owned()),
            scope: "purge_select".to_owned(),
            services: None,
            expires: Expiry::Never,
        }
    }

    fn key(&self, nth: usize) -> Import {
        self.import(ImportedSecret::of_secret(secret(nth).as_bytes(), &Brand::default()).expect("a key"))
    }

    async fn take_over(&self, customer: CustomerId, keys: Vec<Import>, dry_run: bool) -> String {
        let permit = operator(customer);
        match self.authority.import_tokens(&permit, &at(noon()), keys, dry_run, |_| ()).await {
            Ok(count) => format!("{count} done"),
            Err(keygate_authority::Fault::Invalid { code, why }) => format!("{code}: {why}"),
            Err(other) => said::<()>(Err(other)),
        }
    }

    /// What the gate says to whoever shows this secret.
    fn shown(&self, secret: &str, action: Action, service: Option<ServiceId>) -> &'static str {
        let Ok(read) = Presented::parse(secret.as_bytes(), &Brand::default(), self.gate.foreign()) else {
            return "malformed";
        };
        match self.verdict(&read.digest(), action, service) {
            Verdict::Allow(_) => "fine",
            Verdict::Deny(deny) => deny.code(),
            Verdict::CannotTell(unsure) => unsure.code(),
        }
    }
}

#[tokio::test]
async fn existing_keys_work_as_they_are() {
    let house = House::new();
    let ada = house.person("ada").await;
    let shop = house.service(ada.customer, "shop").await;
    assert_eq!(house.gate.foreign(), Foreign::Refused);
    let mut hers = house.import(ImportedSecret::of_digest(&hex(&secret(2)).to_uppercase()).unwrap());
    (hers.owner, hers.scope) = (ImportOwner::User(ada.id), "global:read".to_owned());
    let mut ends = house.key(3);
    (ends.services, ends.expires) = (Some(vec![shop]), Expiry::At(seconds_later(60)));
    let ended = ends.id;
    assert_eq!(house.take_over(ada.customer, vec![house.key(1), hers, ends], false).await, "3 done");
    assert_eq!(house.shown(&secret(1), Action::PURGE_KEY, Some(shop)), "fine");
    assert_eq!(house.shown(&secret(1), Action::PURGE_ALL, Some(shop)), "insufficient_scope");
    assert_eq!(house.shown(&secret(2), Action::EVENT_READ, None), "fine");
    assert_eq!(house.shown(&secret(3), Action::PURGE_KEY, Some(shop)), "fine");
    assert_eq!(house.shown(&secret(4), Action::PURGE_KEY, Some(shop)), "token_unknown");
    assert_eq!(house.told.token(ended).unwrap().services, Services::only([shop]).unwrap());
    house.lock(&house.colleague(ada.customer, "bob").await, true).await.unwrap();
    let told = house.last(ada.customer, "api_key.create").await;
    assert_eq!((told.actor.as_str(), told.token), ("operator", Some(ended)));
    house.nothing_tells(ada.customer, &["legacy-key", &hex(&secret(1)), &hex(&secret(2))]).await;
    house.authority.revoke(&operator(ada.customer), &at(noon()), vec![ended]).await.unwrap();
    assert_eq!(house.shown(&secret(3), Action::PURGE_KEY, Some(shop)), "token_unknown");
    let house = house.reopen();
    assert_eq!(house.shown(&secret(1), Action::PURGE_KEY, Some(shop)), "fine");
    house.count().await;
}

#[tokio::test]
async fn one_that_is_not_right_keeps_all_out_and_is_named() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (rival, rivals) = house.boss("rival").await;
    let theirs = house.service(rival.customer, "theirs").await;
    let gone = house.hire(ada.customer, "gone", "user", false).await;
    house.authority.delete_user(&operator(ada.customer), &at(noon()), gone.id).await.unwrap();
    let seen = house.count().await;
    let odd: [(&str, Spoil); 6] = [
        ("Scope must be", |import| import.scope = "root".to_owned()),
        ("expires_at is in the past", |import| import.expires = Expiry::At(noon())),
        ("Role must be", |import| import.owner = ImportOwner::Role("king".to_owned())),
        ("cannot find user", |import| import.owner = ImportOwner::User(keygate_model::UserId::from_bits(7))),
        ("Name", |import| import.name = String::new()),
        ("", |import| import.services = Some(Vec::new())),
    ];
    for (why, spoil) in odd {
        let mut keys = vec![house.key(1), house.key(2), house.key(3)];
        spoil(&mut keys[1]);
        let told = house.take_over(ada.customer, keys, false).await;
        assert!(told.starts_with("import_invalid: key 2: ") && told.contains(why), "{told}");
    }
    for spoil in [ImportOwner::User(rival.id), ImportOwner::User(gone.id)] {
        let mut keys = vec![house.key(1), house.key(2)];
        keys[1].owner = spoil;
        let told = house.take_over(ada.customer, keys, false).await;
        assert!(told.starts_with("import_invalid: key 2: cannot find user"), "{told}");
    }
    let mut keys = vec![house.key(1)];
    keys[0].services = Some(vec![theirs]);
    let told = house.take_over(ada.customer, keys, false).await;
    assert!(told.starts_with("import_invalid: key 1: Cannot find service"), "{told}");
    // A digest that another customer has is known, and no more is said.
    let digest = house.digest(rivals.id);
    let known = ImportedSecret::of_digest(&data_encoding::HEXLOWER.encode(digest.bytes())).unwrap();
    let told = house.take_over(ada.customer, vec![house.key(1), house.import(known)], false).await;
    assert_eq!(told, "import_invalid: key 2: this key is known already");
    assert_eq!(house.count().await, seen);
    assert_eq!(house.gate.foreign(), Foreign::Refused);
    assert_eq!(house.shown(&secret(1), Action::PURGE_KEY, None), "malformed");
}

#[tokio::test]
async fn a_key_is_taken_over_once() {
    let house = House::new();
    let ada = house.customer().await;
    // Twice in one list.
    let told = house.take_over(ada, vec![house.key(1), house.key(2), house.key(1)], false).await;
    assert!(told.starts_with("import_invalid: key 3: ") && told.contains("exists already"), "{told}");
    assert_eq!(house.take_over(ada, vec![house.key(1)], false).await, "1 done");
    // And in two.
    let told = house.take_over(ada, vec![house.key(2), house.key(1)], false).await;
    assert!(told.starts_with("import_invalid: key 2: token") && told.contains("exists already"), "{told}");
    assert_eq!(house.take_over(ada, Vec::new(), false).await, "0 done");
    house.count().await;
}

#[tokio::test]
async fn a_dry_run_checks_all_and_leaves_no_trace() {
    let house = House::new();
    let ada = house.customer().await;
    let (seen, told) = (house.count().await, house.told.batches().len());
    assert_eq!(house.take_over(ada, vec![house.key(1), house.key(2)], true).await, "2 done");
    let twice = house.take_over(ada, vec![house.key(1), house.key(1)], true).await;
    assert!(twice.starts_with("import_invalid: key 2"), "{twice}");
    assert_eq!((house.count().await, house.told.batches().len()), (seen, told));
    assert_eq!(house.gate.foreign(), Foreign::Refused);
    assert_eq!(house.take_over(ada, vec![house.key(1)], false).await, "1 done");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a time limit is measured with a clock")]
async fn ten_thousand_are_taken_over_while_one_waits() {
    let house = House::new();
    let ada = house.customer().await;
    let keys: Vec<_> = (0..10_000).map(|nth| house.key(nth)).collect();
    let done = Arc::new(AtomicUsize::new(0));
    let (counted, begun) = (Arc::clone(&done), Instant::now());
    let progress = move |nth| counted.store(nth, Ordering::Relaxed);
    let permit = operator(ada);
    let count = house.authority.import_tokens(&permit, &at(noon()), keys, false, progress).await.unwrap();
    assert_eq!((count, done.load(Ordering::Relaxed)), (10_000, 10_000));
    // In a build without optimisation on a busy machine, too.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    for nth in [0, 5_000, 9_999] {
        assert_eq!(house.shown(&secret(nth), Action::PURGE_KEY, None), "fine");
    }
    assert_eq!(house.count().await, 10_001);
}
