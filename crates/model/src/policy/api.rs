//! Protected APIs: policies that an operator applies, beside Keygate's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    BadPolicy, Policy,
    compile::NAMES_MAX,
    file::{ActionLine, ApiFile, CaseLine, CustomersLine, IdentityLine},
    route::{Fitting, Routes},
};
use crate::{
    action::{Action, ActionSet},
    freshness::Freshness,
    host::Host,
    id::CustomerId,
};

/// A protected API, as its policy describes it.
#[derive(Debug)]
pub struct Api {
    /// What its operator calls it.
    pub name: String,
    /// The hosts that serve it.
    pub hosts: Vec<String>,
    /// Whose tokens are good there.
    pub customers: Customers,
    /// The JWT that tells it who asks, if it wants one.
    pub assertion: Option<Assertion>,
    /// How current a gate must be there, where a route says nothing else.
    pub freshness: Freshness,
    /// Its routes.
    pub routes: Routes,
    pub(super) cases: Vec<CaseLine>,
    /// The number of its first action, and how many there are.
    first: u16,
    count: u16,
}

/// What a JWT says that tells a protected API who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// For whom it is. None: for the host that was asked for.
    pub audience: Option<String>,
    /// For how long it is good.
    pub lifetime: Duration,
}

/// Whose tokens are good at an API. *All* is a value of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Customers {
    /// Everybody's.
    All,
    /// Theirs.
    These(BTreeSet<CustomerId>),
}

/// A policy that was parsed, and not yet numbered among the others.
pub(super) struct Parsed(ApiFile);

/// What a name may consist of.
const NAME_RULE: &str = "up to 63 small letters, digits and hyphens, a letter first";
const WORD_RULE: &str = "up to 128 of A-Z a-z 0-9 _ . : / + -, no spaces";

impl Parsed {
    /// Parses the policy of a protected API.
    pub(super) fn new(text: &str) -> Result<Self, BadPolicy> {
        let file: ApiFile = toml::from_str(text)?;
        let is_name = |name: &str| {
            name.len() <= 63
                && name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if !is_name(&file.name) {
            return Err(BadPolicy::Name { what: "name", name: file.name, rule: NAME_RULE });
        }
        let words = |what: &'static str, odd: Option<&String>| {
            odd.map_or(Ok(()), |name| Err(BadPolicy::Name { what, name: name.clone(), rule: WORD_RULE }))
        };
        words("action", file.actions.keys().find(|name| !is_word(name)))?;
        words("scope", file.scopes.keys().find(|name| !is_word(name)))?;
        words("role", file.roles.keys().find(|name| !is_word(name)))?;
        // So many are never put together with others, which takes longer than to count them.
        let names = file.scopes.len().max(file.roles.len());
        if names > NAMES_MAX {
            return Err(BadPolicy::TooManyNames(names));
        }
        if file.hosts.is_empty() {
            return Err(BadPolicy::NoHost);
        }
        if let Some(odd) = file
            .hosts
            .iter()
            .find(|host| Host::parse(host).map(|h| h.as_str() != host.as_str()).unwrap_or(true))
        {
            return Err(BadPolicy::Host(odd.clone()));
        }
        Ok(Self(file))
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// Its actions, under the names that they have among all.
    pub(super) fn actions(&mut self) -> impl Iterator<Item = (String, ActionLine)> {
        let (name, actions) = (&self.0.name, std::mem::take(&mut self.0.actions));
        actions.into_iter().map(move |(action, line)| (format!("{name}/{action}"), line.into()))
    }

    /// Its scopes and its roles.
    pub(super) fn sets(&self) -> [(&'static str, &BTreeMap<String, Vec<String>>); 2] {
        [("scope", &self.0.scopes), ("role", &self.0.roles)]
    }

    /// Compiles it, now that its actions are numbered.
    pub(super) fn compile(self, policy: &Policy, first: u16, count: u16) -> Result<Api, BadPolicy> {
        let freshness = self.0.freshness().over(Freshness::default()).map_err(BadPolicy::Freshness)?;
        let ApiFile { name, hosts, customers, identity, routes: lines, cases, .. } = self.0;
        let customers = match customers {
            CustomersLine::Word(word) if word == "all" => Customers::All,
            CustomersLine::Word(word) => return Err(BadPolicy::Customers(word)),
            CustomersLine::These(ids) if ids.is_empty() => return Err(BadPolicy::NoCustomer),
            CustomersLine::These(ids) => Customers::These(ids.into_iter().collect()),
        };
        let (mut routes, mut fitting) = (Routes::default(), Fitting::default());
        for (on, line) in &lines {
            let action = |action: &str| policy.action(&format!("{name}/{action}"));
            let added = routes.add(&mut fitting, on, line, freshness, action);
            added.map_err(|why| BadPolicy::Route { on: on.clone(), why })?;
        }
        let last = || lines.keys().next_back().cloned().unwrap_or_default();
        routes.close().map_err(|why| BadPolicy::Route { on: last(), why })?;
        let assertion = identity.filter(|line| line.jwt).map(Assertion::from);
        Ok(Api { name, hosts, customers, assertion, freshness, routes, cases, first, count })
    }
}

impl From<IdentityLine> for Assertion {
    fn from(line: IdentityLine) -> Self {
        let lifetime = Duration::from_secs(line.lifetime_seconds.0.into());
        Self { audience: line.audience.map(|audience| audience.0), lifetime }
    }
}

impl Policy {
    /// The protected API at a host. None: there is none, or it is Keygate's own.
    #[must_use]
    pub fn api_at(&self, host: &Host<'_>) -> Option<&Api> {
        self.by_host.get(host.as_str()).map(|place| &self.apis[*place])
    }
}

impl Api {
    /// Whether an action is one of this API's.
    #[must_use]
    pub fn has(&self, action: Action) -> bool {
        action.number().checked_sub(self.first).is_some_and(|place| place < self.count)
    }

    /// Whether its actions begin with this one, or before it.
    pub(super) fn starts_by(&self, action: Action) -> bool {
        self.first <= action.number()
    }

    /// Its actions.
    pub fn actions(&self) -> impl Iterator<Item = Action> {
        (self.first..self.first + self.count).map(Action::numbered)
    }

    pub(super) fn set(first: u16, count: u16) -> ActionSet {
        (first..first + count).map(Action::numbered).collect()
    }
}

impl Customers {
    /// Whether a customer's tokens are good.
    #[must_use]
    pub fn include(&self, customer: CustomerId) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(&customer),
        }
    }
}

fn is_word(name: &str) -> bool {
    let may = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/+-".contains(&byte);
    !name.is_empty() && name.len() <= 128 && name.bytes().all(may)
}
