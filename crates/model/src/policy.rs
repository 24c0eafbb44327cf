//! Policies: which route is which action, and what scopes and roles contain. A file, compiled once.

use std::collections::{BTreeMap, HashMap};

use crate::{
    action::{Action, ActionSet, OWN},
    ask::{Method, Path, Reading},
};

mod file;

use file::{ActionLine, PolicyFile, RouteLine};

/// The policy of Keygate's own API.
pub const OWN_POLICY: &str = include_str!("../policy/keygate.toml");

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    names: Vec<String>,
    scopes: HashMap<String, ActionSet>,
    roles: HashMap<String, ActionSet>,
    reads: ActionSet,
    sudo: ActionSet,
    account: ActionSet,
    uncounted: ActionSet,
    routes: Vec<Route>,
    by_method: [matchit::Router<usize>; Method::COUNT],
}

/// One route of a policy.
#[derive(Debug)]
pub struct Route {
    /// As the policy writes it: `GET /tokens/{token}`.
    pub on: String,
    /// What it takes to pass.
    pub access: Access,
}

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing. For health and metadata only.
    Public,
    /// A credential that may do this.
    Action(Action),
    /// The same if there is a credential; without one the handler asks for a password itself.
    ActionIfAny(Action),
}

/// A route that an ask has matched.
#[derive(Debug, PartialEq, Eq)]
pub struct Matched<'a> {
    /// What it asks for.
    pub access: Access,
    /// What stands in the place of `{service}`, if the route has that.
    pub service: Option<&'a str>,
}

/// Why no route matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// The path can be read in two ways.
    Ambiguous,
    /// The policy names no such route.
    NoRoute,
}

/// What is wrong with a policy file.
#[derive(Debug, thiserror::Error)]
pub enum BadPolicy {
    /// Not TOML, or a key that means nothing here.
    #[error("the policy cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A name is used that `[actions]` does not define.
    #[error("{place} names the action {name:?}, which stands not under [actions]")]
    UnknownAction {
        /// Where.
        place: String,
        /// Which.
        name: String,
    },
    /// An action of Keygate's own is missing.
    #[error("[actions] lacks {0:?}, which Keygate itself asks for")]
    MissingAction(&'static str),
    /// More actions than a set holds.
    #[error("a policy may have 256 actions; this one has {0}")]
    TooManyActions(usize),
    /// A scope or role with nothing in it.
    #[error("{0} is empty, and an empty set grants nothing: name its actions, or \"*\"")]
    Empty(String),
    /// A route that cannot be read.
    #[error("route {on:?}: {why}")]
    Route {
        /// Which.
        on: String,
        /// What is wrong.
        why: String,
    },
}

impl Policy {
    /// Compiles a policy file.
    ///
    /// # Errors
    /// [`BadPolicy`] names the first thing that is wrong with it.
    pub fn compile(text: &str) -> Result<Self, BadPolicy> {
        let file: PolicyFile = toml::from_str(text)?;
        let names = number_actions(&file.actions)?;
        let marked = |mark: fn(&ActionLine) -> bool| {
            let lines = names.iter().enumerate().filter(|(_, name)| mark(&file.actions[*name]));
            lines
                .filter_map(|(number, _)| u8::try_from(number).ok())
                .map(Action::numbered)
                .collect::<ActionSet>()
        };
        let mut policy = Self {
            scopes: HashMap::new(),
            roles: HashMap::new(),
            reads: marked(|line| line.read),
            sudo: marked(|line| line.sudo),
            account: marked(|line| line.account),
            uncounted: marked(|line| line.read || line.uncounted),
            routes: Vec::new(),
            by_method: Default::default(),
            names,
        };
        policy.scopes = policy.compile_sets("scope", &file.scopes)?;
        policy.roles = policy.compile_sets("role", &file.roles)?;
        for (on, line) in &file.routes {
            policy.add_route(on, line).map_err(|why| BadPolicy::Route { on: on.clone(), why })?;
        }
        Ok(policy)
    }

    /// Finds what a request is.
    ///
    /// # Errors
    /// [`Unmatched`]: no route, and no route is no permission.
    pub fn route<'a>(&self, method: Method, path: &Path<'a>) -> Result<Matched<'a>, Unmatched> {
        let found = match path.reading() {
            Reading::Ambiguous => return Err(Unmatched::Ambiguous),
            reading => self.by_method[method.index()].at(path.as_str()).map_err(|_| match reading {
                Reading::Plain => Unmatched::NoRoute,
                Reading::Open | Reading::Ambiguous => Unmatched::Ambiguous,
            })?,
        };
        let route = &self.routes[*found.value];
        if path.reading() == Reading::Open && !leaves_rest_open(&route.on, path) {
            return Err(Unmatched::Ambiguous);
        }
        Ok(Matched { access: route.access, service: found.params.get("service") })
    }

    /// All routes, for tests that hold the router against them.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// What the scope of this name contains.
    #[must_use]
    pub fn scope(&self, name: &str) -> Option<ActionSet> {
        self.scopes.get(name).copied()
    }

    /// What a list of scopes contains, as the wire writes it: separated by a space. None if one of them is unknown or
    /// there is none.
    #[must_use]
    pub fn scopes(&self, names: &str) -> Option<ActionSet> {
        let sets: Option<Vec<_>> = names.split(' ').map(|name| self.scope(name)).collect();
        sets.filter(|sets| !sets.is_empty())
            .map(|sets| sets.into_iter().fold(ActionSet::EMPTY, ActionSet::union))
    }

    /// The names of the scopes, sorted.
    #[must_use]
    pub fn scope_names(&self) -> Vec<&str> {
        sorted(self.scopes.keys())
    }

    /// What the role of this name contains.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<ActionSet> {
        self.roles.get(name).copied()
    }

    /// The names of the roles, sorted.
    #[must_use]
    pub fn role_names(&self) -> Vec<&str> {
        sorted(self.roles.keys())
    }

    /// The name of an action.
    #[must_use]
    pub fn name(&self, action: Action) -> &str {
        self.names.get(usize::from(action.number())).map_or("unknown", String::as_str)
    }

    /// The names of the actions in a set.
    #[must_use]
    pub fn names(&self, set: ActionSet) -> Vec<&str> {
        let numbers = 0..u8::try_from(self.names.len()).unwrap_or(u8::MAX);
        numbers
            .map(Action::numbered)
            .filter(|action| set.contains(*action))
            .map(|action| self.name(action))
            .collect()
    }

    /// The actions that change nothing.
    #[must_use]
    pub fn reads(&self) -> ActionSet {
        self.reads
    }

    /// Whether an action needs sudo.
    #[must_use]
    pub fn needs_sudo(&self, action: Action) -> bool {
        self.sudo.contains(action)
    }

    /// Whether an action is about the whole account.
    #[must_use]
    pub fn is_account_wide(&self, action: Action) -> bool {
        self.account.contains(action)
    }

    /// Whether an action counts for the hourly quota: it changes something, and the policy does not let it go uncounted.
    #[must_use]
    pub fn is_counted(&self, action: Action) -> bool {
        !self.uncounted.contains(action)
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
        match name {
            "*" => {
                Ok((0..self.names.len()).filter_map(|n| u8::try_from(n).ok()).map(Action::numbered).collect())
            }
            "@read" => Ok(self.reads),
            _ => self
                .action(name)
                .map(|action| ActionSet::from_iter([action]))
                .ok_or_else(|| BadPolicy::UnknownAction { place: place.to_owned(), name: name.to_owned() }),
        }
    }

    /// The action of this name.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<Action> {
        let number = self.names.iter().position(|known| known == name)?;
        u8::try_from(number).ok().map(Action::numbered)
    }

    fn add_route(&mut self, on: &str, line: &RouteLine) -> Result<(), String> {
        let (method, path) = on.split_once(' ').ok_or("write it as `METHOD /path`")?;
        let method = Method::parse(method).ok_or("the method is none of GET, POST, PUT, PATCH, DELETE")?;
        let access = match (&line.action, line.public, &line.credential) {
            (None, true, None) => Access::Public,
            (Some(name), false, credential) => {
                let action = self.action(name).ok_or("its action stands not under [actions]")?;
                if credential.is_some() { Access::ActionIfAny(action) } else { Access::Action(action) }
            }
            _ => return Err("give it an action, or say public = true".to_owned()),
        };
        self.by_method[method.index()].insert(path, self.routes.len()).map_err(|why| why.to_string())?;
        self.routes.push(Route { on: on.to_owned(), access });
        Ok(())
    }
}

/// Numbers the actions: Keygate's own first, in their fixed order, then the operator's by name.
fn number_actions(lines: &BTreeMap<String, ActionLine>) -> Result<Vec<String>, BadPolicy> {
    if let Some(missing) = OWN.iter().find(|own| !lines.contains_key(**own)) {
        return Err(BadPolicy::MissingAction(missing));
    }
    let own = OWN.iter().map(|name| (*name).to_owned());
    let names: Vec<_> =
        own.chain(lines.keys().filter(|name| !OWN.contains(&name.as_str())).cloned()).collect();
    if names.len() > 256 { Err(BadPolicy::TooManyActions(names.len())) } else { Ok(names) }
}

/// Whether the part of `path` that the route names itself can be read in one way only, and the rest is a `{*rest}`.
fn leaves_rest_open(on: &str, path: &Path<'_>) -> bool {
    let template = on.split_once(' ').map_or(on, |(_, template)| template);
    let Some((fixed, _)) = template.split_once("{*") else { return false };
    !fixed.contains('{') && path.as_str().starts_with(fixed)
}

fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Policy {
        Policy::compile(OWN_POLICY).unwrap()
    }

    #[test]
    fn the_own_policy_compiles_and_numbers_the_constants() {
        let policy = own();
        assert_eq!(policy.name(Action::PURGE_ALL), "purge:all");
        assert_eq!(policy.action("token:create"), Some(Action::TOKEN_CREATE));
        assert_eq!(policy.scope_names(), ["global", "global:read", "purge_all", "purge_select"]);
        assert_eq!(policy.role_names(), ["billing", "engineer", "superuser", "user"]);
    }

    #[test]
    fn routes_know_their_service() {
        let policy = own();
        let path = Path::new("/service/abc/purge/key%20one");
        let found = policy.route(Method::Post, &path).unwrap();
        assert_eq!(found, Matched { access: Access::Action(Action::PURGE_KEY), service: Some("abc") });
        assert_eq!(policy.route(Method::Get, &path), Err(Unmatched::NoRoute));
    }

    #[test]
    fn only_an_open_rest_may_be_read_in_two_ways() {
        let policy = own();
        let url = Path::new("/purge/http://example.com//a;b");
        assert_eq!(policy.route(Method::Post, &url).unwrap().access, Access::Action(Action::PURGE_URL));
        for path in [
            "/tokens//self",
            "/service/a/../b",
            "/tokens/self;x",
            "/./purge/x",
            "//purge/x",
            "/purge/../tokens",
        ] {
            assert_eq!(policy.route(Method::Get, &Path::new(path)), Err(Unmatched::Ambiguous), "{path}");
            assert_eq!(policy.route(Method::Post, &Path::new(path)), Err(Unmatched::Ambiguous), "{path}");
        }
    }

    #[test]
    fn a_list_of_scopes_is_their_union_and_nothing_is_none() {
        let policy = own();
        let both = policy.scopes("purge_all purge_select").unwrap();
        assert!(both.contains(Action::PURGE_ALL) && both.contains(Action::PURGE_KEY));
        for names in ["", " ", "purge_all  purge_select", "PURGE_ALL", "root"] {
            assert_eq!(policy.scopes(names), None, "{names:?}");
        }
    }

    #[test]
    fn only_reads_and_purges_of_keys_and_urls_do_not_count() {
        let policy = own();
        let mut free = policy.reads();
        free.insert(Action::PURGE_KEY);
        free.insert(Action::PURGE_URL);
        let mut all = (0..20).map(Action::numbered);
        assert!(all.all(|action| policy.is_counted(action) != free.contains(action)));
    }

    #[test]
    fn mistakes_are_named() {
        let with =
            |from: &str, to: &str| Policy::compile(&OWN_POLICY.replace(from, to)).unwrap_err().to_string();
        assert!(with("\"@read\", \"token:revoke_self\"", "").contains("\"global:read\" is empty"));
        assert!(with("[\"purge:all\", ", "[\"purge:al\", ").contains("\"purge:al\""));
        assert!(with("\"purge:all\" = {}", "").contains("lacks \"purge:all\""));
        assert!(with("{ public = true }", "{ pubic = true }").contains("pubic"));
    }
}
