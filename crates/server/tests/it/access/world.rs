//! Everybody there can be, in a house with one of everything.

use std::time::Duration;

use keygate_authority::factor::FactorState;
use keygate_model::authorization::Permission;
use serde_json::json;

use crate::{
    estate::{Estate, Names},
    house::{House, Mould, PASSWORD, Person, Token},
};

/// Somebody who asks.
pub(super) struct Caller {
    pub(super) name: &'static str,
    about: &'static str,
    pub(super) secret: Option<String>,
    /// The caller's own token and self, where there are such.
    token: Option<String>,
    user: Option<String>,
    code: Option<String>,
}

pub(super) struct World {
    pub(super) mould: Mould,
    pub(super) callers: Vec<Caller>,
    estate: Estate,
}

/// A person's token: the name, what it is, whose, with what, and whether it is in sudo.
type Wanted = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)], bool);

const TOKENS: [Wanted; 16] = [
    (
        "expired",
        "a superuser's token whose time is over",
        "ada",
        &[("expires_at", "2027-01-15T08:30:00Z")],
        false,
    ),
    ("revoked", "a superuser's token, revoked", "ada", &[], false),
    ("superuser", "scope global", "ada", &[], false),
    ("superuser+sudo", "scope global, in sudo", "ada", &[], true),
    ("engineer", "scope global", "eve", &[], false),
    ("engineer+sudo", "scope global, in sudo", "eve", &[], true),
    ("billing", "scope global", "bill", &[], false),
    ("user", "scope global", "uma", &[], false),
    ("global:read", "a superuser's of that scope", "ada", &[("scope", "global:read")], false),
    ("purge_select", "a superuser's of that scope", "ada", &[("scope", "purge_select")], false),
    ("purge_all", "a superuser's of that scope", "ada", &[("scope", "purge_all")], false),
    ("one-service", "a superuser's, limited to the service", "ada", &[("services[]", "<service>")], false),
    ("one-service+sudo", "the same, in sudo", "ada", &[("services[]", "<service>")], true),
    ("person:full", "an engineer limited to the service, with full there", "fay", &[], false),
    ("person:read_only", "an engineer limited to the service, with read_only there", "rob", &[], false),
    ("person:read_only+sudo", "the same, in sudo", "rob", &[], true),
];

/// Automation tokens: the name and what is asked for.
const BOTS: [(&str, &str, &str); 4] = [
    ("bot:billing", "billing", "global"),
    ("bot:engineer", "engineer", "global"),
    ("bot:user", "user", "global"),
    ("bot:minting", "engineer", "global automation_token:mint"),
];

impl World {
    pub(super) async fn new() -> Self {
        let house = House::new().await;
        // The house's own superuser was there first, and so is the owner of the account.
        house.advance(Duration::from_secs(1));
        let lead = lead(&house).await;
        let estate = Estate::new(&house, house.customer, &lead, "shop").await;
        let mut people = people(&house, &estate).await;
        let mut callers = vec![Caller::nobody()];
        for (name, about, whose, more, _) in TOKENS {
            let person = &people.iter().find(|(known, _)| *known == whose).expect("known").1;
            let more: Vec<_> = more
                .iter()
                .map(|(name, value)| (*name, value.replace("<service>", &estate.names["service"])))
                .collect();
            let more: Vec<_> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
            callers.push(Caller::of(name, about, Some(person), &house.token(person, &more).await));
        }
        for (name, role, scope) in BOTS {
            let made = json!({ "name": name, "role": role, "scope": scope });
            let made = house.with(&lead).ask("POST", "/automation-tokens").json(&made).send().await.json();
            let text = |field: &str| made[field].as_str().expect("a text").to_owned();
            let token = Token { id: text("id"), secret: text("access_token") };
            callers.push(Caller::of(name, scope, None, &token));
        }
        house.advance(Duration::from_secs(1900));
        for (name, .., in_sudo) in TOKENS {
            let caller = callers.iter().find(|caller| caller.name == name).expect("known");
            if in_sudo {
                house.sudo(&caller.shown()).await;
            }
        }
        let owner = house.token(&house.ada, &[]).await;
        house.sudo(&owner).await;
        callers.insert(
            1,
            Caller::of("owner+sudo", "the first superuser, scope global, in sudo", Some(&house.ada), &owner),
        );
        let revoked = callers.iter().find(|caller| caller.name == "revoked").expect("known").shown();
        assert_eq!(house.with(&revoked).delete("/tokens/self").await.status, 204);
        let (_, boris, token) = house.neighbour().await;
        callers.push(Caller::of(
            "stranger",
            "another customer's superuser, scope global, in sudo",
            Some(&boris),
            &token,
        ));
        enrol(&house, &mut people, &mut callers).await;
        Self { mould: house.rest().await, callers, estate }
    }

    /// What stands for whom.
    pub(super) fn legend(&self) -> String {
        let lines = self.callers.iter().map(|caller| format!("    {:<22} {}\n", caller.name, caller.about));
        format!("Who asks:\n{}", lines.collect::<String>())
    }

    /// What a caller's requests are filled with.
    pub(super) fn names(&self, caller: &Caller) -> Names {
        let mut names = self.estate.names.clone();
        let or =
            |own: &Option<String>, name: &str| own.clone().unwrap_or_else(|| self.estate.names[name].clone());
        names.insert("mine", or(&caller.token, "token"));
        names.insert("me", or(&caller.user, "user"));
        names.insert("my_secret", or(&caller.secret, "secret"));
        names.insert("otp", caller.code.clone().unwrap_or_else(|| "000000".to_owned()));
        names
    }
}

impl Caller {
    fn nobody() -> Self {
        Self { name: "nobody", about: "no credential", secret: None, token: None, user: None, code: None }
    }

    fn of(name: &'static str, about: &'static str, person: Option<&Person>, token: &Token) -> Self {
        Self {
            name,
            about,
            secret: Some(token.secret.clone()),
            token: Some(token.id.clone()),
            user: person.map(|person| person.id.to_string()),
            code: None,
        }
    }

    fn shown(&self) -> Token {
        let (id, secret) = (self.token.clone().expect("a token"), self.secret.clone().expect("a secret"));
        Token { id, secret }
    }
}

/// A superuser's token in sudo, who furnishes the house and then asks no more.
async fn lead(house: &House) -> Token {
    let lead = house.node.person(house.customer, "lead@example.com", "superuser", PASSWORD).await;
    let token = house.token(&lead, &[]).await;
    house.sudo(&token).await;
    token
}

async fn people(house: &House, estate: &Estate) -> Vec<(&'static str, Person)> {
    let mut people = Vec::new();
    let roles = [
        ("ada", "superuser"),
        ("eve", "engineer"),
        ("bill", "billing"),
        ("uma", "user"),
        ("fay", "engineer"),
        ("rob", "engineer"),
    ];
    for (name, role) in roles {
        let login = format!("{name}@people.example");
        people.push((name, house.node.person(house.customer, &login, role, PASSWORD).await));
    }
    for (name, permission) in [("fay", Permission::Full), ("rob", Permission::ReadOnly)] {
        let person = &people.iter().find(|(known, _)| *known == name).expect("known").1;
        house.limit(person, &estate.names["service"], permission).await;
    }
    people
}

/// A second factor for everybody, which waits for its first code: so it can be confirmed and taken away.
async fn enrol(house: &House, people: &mut [(&'static str, Person)], callers: &mut [Caller]) {
    for (_, person) in people {
        house.node.enrol(house.customer, person, FactorState::Waiting).await;
        let (id, code) = (person.id.to_string(), person.code(house.now()));
        for caller in callers.iter_mut().filter(|caller| caller.user.as_ref() == Some(&id)) {
            caller.code = Some(code.clone());
        }
    }
}
