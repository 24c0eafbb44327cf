//! A sequence: a customer with people and tokens, and steps at random. What the authority did, the model does too; what it
//! refused, did not happen. After each step everything is asked.

use std::{collections::BTreeMap, time::Duration};

use keygate_model::{
    Circumstances, CustomerId, Permit, Timestamp, TokenId, UserId, Verdict, Want, permit::Actor, user::Login,
};

use crate::{
    Tally,
    house::{BOOK, House, at},
    naive::{Flaw, Model, Owner, Person, Powers, Role, Token},
};

mod people;
mod tokens;

/// Every step there is.
pub(crate) const STEPS: [&str; 17] = [
    "import", "create", "mint", "revoke", "convert", "expire", "demote", "lock", "unlock", "limit",
    "unlimit", "grant", "regrant", "ungrant", "suspend", "rule", "enrol",
];

/// How many steps a sequence has.
const LENGTH: std::ops::Range<u64> = 4..8;

const ROLES: [&str; 6] = ["superuser", "superuser", "engineer", "engineer", "billing", "user"];
const PERMISSIONS: [&str; 5] = ["full", "full", "read_only", "purge_select", "purge_all"];
const SCOPES: [&str; 8] = [
    "global",
    "global",
    "global",
    "global automation_token:mint",
    "purge_select automation_token:mint",
    "global:read",
    "purge_select",
    "purge_all purge_select",
];

/// What went wrong.
type Wrong = Result<(), String>;

pub(crate) struct Sequence<'h> {
    house: &'h House,
    chance: Chance,
    customer: CustomerId,
    people: Vec<UserId>,
    model: Model,
    /// What was done so far, to tell it.
    told: Vec<String>,
}

/// Chance that is the same for the same number (SplitMix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("small")
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

impl<'h> Sequence<'h> {
    pub(crate) fn new(house: &'h House, number: u64, flaw: Option<Flaw>) -> Self {
        let now = Timestamp::from_seconds(1_800_000_000);
        let model = Model {
            now,
            suspended: false,
            force_factor: false,
            off: 0,
            people: Vec::new(),
            tokens: Vec::new(),
            services: Vec::new(),
            flaw,
        };
        let customer = CustomerId::from_bytes(house.draw());
        let (chance, people) = (Chance(number), Vec::new());
        Self { house, chance, customer, people, model, told: Vec::new() }
    }

    /// Makes the customer, then does step after step.
    pub(crate) async fn play(mut self, tally: &mut Tally) -> Wrong {
        self.furnish().await;
        let length = LENGTH.start + self.chance.next() % (LENGTH.end - LENGTH.start);
        for _ in 0..length {
            let step = self.chance.of(&STEPS);
            let done = self.step(step).await.map_err(|why| self.telling(&why))?;
            *tally.entry((step, done)).or_default() += 1;
            self.everything_agrees().map_err(|why| self.telling(&why))?;
        }
        Ok(())
    }

    fn telling(&self, why: &str) -> String {
        format!("{why}\nafter:\n  {}", self.told.join("\n  "))
    }

    /// Two services, two people, and a token of each.
    async fn furnish(&mut self) {
        let (authority, origin) = (&self.house.authority, at(self.model.now));
        authority.create_customer(&origin, self.customer, "Acme").await.expect("a customer");
        for _ in 0..2 {
            self.model.services.push(self.house.service(self.customer).await);
        }
        for role in ["superuser", self.chance.of(&ROLES)] {
            self.add_person(role).await;
        }
        for owner in 0..2 {
            self.import(Some(owner), "global").await;
        }
        // Or hardly anybody would be limited and have something.
        if self.chance.one_in(2) {
            self.about_people("grant").await;
            self.about_people("limit").await;
        }
    }

    async fn step(&mut self, step: &'static str) -> Result<bool, String> {
        match step {
            "import" => {
                let (owner, scope) = (self.chance.below(3), self.chance.of(&SCOPES));
                Ok(self.import((owner < 2).then_some(owner), scope).await)
            }
            "create" => self.create().await,
            "mint" => self.mint().await,
            "revoke" => Ok(self.revoke().await),
            "convert" => self.convert().await,
            "expire" => Ok(self.expire()),
            _ => Ok(self.about_people(step).await),
        }
    }

    fn expire(&mut self) -> bool {
        let later = self.chance.of(&[600, 1800, 3600]);
        self.model.now = self.model.now.after(Duration::from_secs(later));
        self.told.push(format!("expire: {later} s later"));
        true
    }

    fn operator(&self) -> Permit {
        Permit::of_the_operator(self.customer)
    }

    /// The gate says of every token, action and service what the model says.
    fn everything_agrees(&self) -> Wrong {
        for token in &self.model.tokens {
            self.agrees_about(token, false)?;
        }
        Ok(())
    }

    fn agrees_about(&self, token: &Token, in_sudo: bool) -> Wrong {
        let now = Circumstances::of(self.model.now, None);
        let services = std::iter::once(None)
            .chain(self.model.services.iter().copied().chain([self.house.foreign]).map(Some));
        for service in services {
            let service_wanted = service.map(|id| self.house.gate.wanted_id(id));
            for (number, (name, action)) in BOOK.actions.iter().enumerate() {
                let want = Want { action: *action, service: service_wanted };
                let verdict = self.house.gate.decide(&token.digest, &want, now);
                let may = self.model.may(token, number, service, in_sudo);
                if matches!(verdict, Verdict::Allow(_)) != may || matches!(verdict, Verdict::CannotTell(_)) {
                    let nth = self.nth(token.id);
                    return Err(format!(
                        "token {nth}, {name} on {service:?}: {verdict:?}, and the model says {may}"
                    ));
                }
                if let Verdict::Allow(permit) = verdict
                    && !matches!(permit.actor(), Actor::Token { token: by, .. } if by == token.id)
                {
                    return Err(format!("a permit for somebody else: {permit:?}"));
                }
            }
        }
        Ok(())
    }

    fn nth(&self, id: TokenId) -> usize {
        self.model.tokens.iter().position(|token| token.id == id).expect("known")
    }

    /// What a token may do with a password shown; and that the gate agrees.
    fn powers_in_sudo(&self, token: &Token) -> Result<Powers, String> {
        let in_sudo = matches!(token.owner, Owner::Person(_));
        let mut agrees = Ok(());
        self.house.in_sudo(token.id, self.model.now, || agrees = self.agrees_about(token, in_sudo));
        agrees.map(|()| self.model.powers(token, in_sudo))
    }

    async fn add_person(&mut self, role: &'static str) {
        let id = UserId::from_bytes(self.house.draw());
        let new = keygate_authority::user::NewUser {
            id,
            login: Login::parse(&format!("{id}@example.com")).expect("a login"),
            name: "Somebody".to_owned(),
            role: role.to_owned(),
            limited: false,
            password: None,
        };
        let (permit, origin) = (self.operator(), at(self.model.now));
        self.house.authority.create_user(&permit, &origin, new).await.expect("a person");
        self.people.push(id);
        let (role, grants) = (Role::of(role), BTreeMap::new());
        self.model.people.push(Person {
            role,
            active: true,
            gone: false,
            has_factor: false,
            limited: false,
            grants,
        });
    }

    fn role_of(&self, owner: Owner) -> Role {
        match owner {
            Owner::Person(place) => self.model.people[place].role,
            Owner::Customer(role) => role,
        }
    }
}
