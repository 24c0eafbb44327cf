//! Compiling policy files into one policy.

use std::collections::{BTreeMap, HashMap};

use super::{
    Api, ApiSource, BadPolicy, Policy, Routes,
    api::Parsed,
    file::{ActionLine, PolicyFile},
    marks::Marks,
    route::Fitting,
};
use crate::{
    action::{ACTIONS_MAX, Action, ActionSet, OWN},
    authorization::Permission,
    freshness::Freshness,
};

/// The most scopes, and the most roles, of all policies together: each takes half a kilobyte.
pub(super) const NAMES_MAX: usize = 4096;

/// What every scope and role contains.
pub(super) const ALWAYS: [Action; 2] = [Action::TOKEN_READ_SELF, Action::TOKEN_REVOKE_SELF];

impl Policy {
    /// The same without those that cannot be read, and why not.
    #[must_use]
    pub fn with_readable(&self, apis: &[ApiSource<'_>]) -> (Self, Vec<BadPolicy>) {
        let (mut readable, mut unreadable) = (apis.to_vec(), Vec::new());
        loop {
            match self.with(&readable) {
                Ok(policy) => return (policy, unreadable),
                Err(why) => {
                    let alone = |api: &ApiSource<'_>| self.with(&[*api]).is_err();
                    // One that is wrong by itself, or else the last to come between the others.
                    let worst = readable.iter().position(alone);
                    let worst = worst.or_else(|| readable.iter().rposition(|api| api.text.is_some()));
                    unreadable.push(why);
                    if let Some(place) = worst {
                        readable[place].text = None;
                    }
                }
            }
        }
    }

    pub(super) fn compile_all(
        text: &str,
        own_hosts: Vec<String>,
        apis: &[ApiSource<'_>],
    ) -> Result<Self, BadPolicy> {
        let mut file: PolicyFile = toml::from_str(text)?;
        let mut parsed = Vec::new();
        for text in apis.iter().filter_map(|api| api.text) {
            let api = Parsed::new(text)?;
            if parsed.iter().any(|other: &Parsed| other.name() == api.name()) {
                return Err(BadPolicy::NameTaken(api.name().to_owned()));
            }
            parsed.push(api);
        }
        let (lines, places) = number_actions(std::mem::take(&mut file.actions), &mut parsed)?;
        let marks = Marks::compile(&lines)?;
        let names: Vec<_> = lines.into_iter().map(|(name, _)| name).collect();
        let mut policy = Self {
            source: text.to_owned(),
            own_hosts,
            numbers: (0..)
                .map(Action::numbered)
                .zip(&names)
                .map(|(action, name)| (name.clone(), action))
                .collect(),
            names,
            scopes: HashMap::new(),
            roles: HashMap::new(),
            permissions: [ActionSet::EMPTY; Permission::ALL.len()],
            marks,
            own: Routes::own(),
            apis: Vec::new(),
            by_host: HashMap::default(),
        };
        policy.take_own(&file)?;
        for (api, (first, count)) in parsed.into_iter().zip(places) {
            policy.take_api(api, first, count)?;
        }
        let most = policy.scopes.len().max(policy.roles.len());
        if most > NAMES_MAX {
            return Err(BadPolicy::TooManyNames(most));
        }
        apis.iter().for_each(|api| policy.remember(api.retired));
        Ok(policy)
    }

    fn take_own(&mut self, file: &PolicyFile) -> Result<(), BadPolicy> {
        self.scopes = self.compile_sets("scope", &file.scopes)?;
        self.roles = self.compile_sets("role", &file.roles)?;
        let permissions = self.compile_sets("permission", &file.permissions)?;
        for (set, permission) in self.permissions.iter_mut().zip(Permission::ALL) {
            let word = permission.as_str();
            *set = *permissions.get(word).ok_or(BadPolicy::MissingPermission(word))?;
        }
        if let Some(odd) = permissions.keys().find(|name| Permission::of(name).is_none()) {
            return Err(BadPolicy::UnknownPermission(odd.clone()));
        }
        let (mut routes, mut fitting) = (std::mem::replace(&mut self.own, Routes::own()), Fitting::default());
        for (on, line) in &file.routes {
            if line.freshness().says_something() {
                let why = "max_staleness and outage are for protected APIs".to_owned();
                return Err(BadPolicy::Route { on: on.clone(), why });
            }
            let added = routes.add(&mut fitting, on, line, Freshness::default(), |name| self.action(name));
            added.map_err(|why| BadPolicy::Route { on: on.clone(), why })?;
        }
        self.own = routes;
        Ok(())
    }

    fn take_api(&mut self, api: Parsed, first: u16, count: u16) -> Result<(), BadPolicy> {
        let own = Api::set(first, count);
        for (noun, sets) in api.sets() {
            for (name, actions) in sets {
                let place = format!("{noun} {name:?} of {}", api.name());
                let mut set = ActionSet::EMPTY;
                for action in actions {
                    set = set.union(self.named_in(api.name(), action, &place, own)?);
                }
                if set.is_empty() {
                    return Err(BadPolicy::Empty(place));
                }
                let into = if noun == "scope" { &mut self.scopes } else { &mut self.roles };
                // Whoever holds a token may look at it and give it up, whatever else it is for.
                let entry = into.entry(name.clone()).or_insert(ActionSet::from_iter(ALWAYS));
                *entry = entry.union(set);
            }
        }
        let api = api.compile(self, first, count)?;
        for host in &api.hosts {
            let place = self.by_host.insert(host.clone(), self.apis.len());
            let owner = place.map(|place| self.apis.get(place).map_or(&api.name, |api| &api.name).clone());
            let owner = owner.or_else(|| self.own_hosts.contains(host).then(|| "keygate".to_owned()));
            if let Some(other) = owner {
                return Err(BadPolicy::HostTaken { host: host.clone(), other });
            }
        }
        self.apis.push(api);
        Ok(())
    }

    /// Remembers words that once meant something: whoever has them still has nothing by them.
    fn remember(&mut self, retired: &[String]) {
        for word in retired {
            match word.split_once(' ') {
                Some(("scope", name)) => self.scopes.entry(name.to_owned()).or_default(),
                Some(("role", name)) => self.roles.entry(name.to_owned()).or_default(),
                _ => continue,
            };
        }
    }

    fn compile_sets(
        &self,
        noun: &str,
        lines: &BTreeMap<String, Vec<String>>,
    ) -> Result<HashMap<String, ActionSet>, BadPolicy> {
        let mut sets = HashMap::new();
        for (name, actions) in lines {
            let place = format!("{noun} {name:?}");
            let mut set = ActionSet::EMPTY;
            for action in actions {
                set = set.union(self.named(action, &place)?);
            }
            if set.is_empty() {
                return Err(BadPolicy::Empty(place));
            }
            sets.insert(name.clone(), set);
        }
        Ok(sets)
    }

    fn named(&self, name: &str, place: &str) -> Result<ActionSet, BadPolicy> {
        self.named_in("", name, place, ActionSet::EMPTY.complement())
    }

    /// The actions that a set names in the policy of an API, which has those of `all`.
    fn named_in(&self, api: &str, name: &str, place: &str, all: ActionSet) -> Result<ActionSet, BadPolicy> {
        let number = match name {
            "*" => return Ok(self.marks.all_but_explicit().intersect(all)),
            "@read" => return Ok(self.marks.reads().intersect(all)),
            name if api.is_empty() => self.action(name),
            name => self.action(&format!("{api}/{name}")),
        };
        let unknown = || BadPolicy::UnknownAction { place: place.to_owned(), name: name.to_owned() };
        number.map(|action| ActionSet::from_iter([action])).ok_or_else(unknown)
    }
}

/// Lines of `[actions]` in the order of their numbers.
type Lines = Vec<(String, ActionLine)>;

/// Numbers the actions: Keygate's own first, in their fixed order, then the operator's by name, then those of each API,
/// whose first number and count are told.
fn number_actions(
    mut own: BTreeMap<String, ActionLine>,
    apis: &mut [Parsed],
) -> Result<(Lines, Vec<(u16, u16)>), BadPolicy> {
    let mut lines = Vec::new();
    for name in OWN {
        lines.push((name.to_owned(), own.remove(name).ok_or(BadPolicy::MissingAction(name))?));
    }
    lines.extend(own);
    let mut places = Vec::new();
    for api in apis {
        let first = lines.len();
        lines.extend(api.actions());
        places.push((first, lines.len() - first));
    }
    if lines.len() > ACTIONS_MAX {
        return Err(BadPolicy::TooManyActions(lines.len()));
    }
    // Within the bound, so they fit.
    let fit = |number| u16::try_from(number).unwrap_or(u16::MAX);
    Ok((lines, places.into_iter().map(|(first, count)| (fit(first), fit(count))).collect()))
}
