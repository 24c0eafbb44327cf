//! Policies: which route is which action, and what scopes and roles contain. Files, compiled once into one: Keygate's own,
//! and one for each protected API.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::{
    action::{Action, ActionSet, OWN},
    ask::{Method, Path, Reading},
    authorization::Permission,
    host::Host,
    id::CustomerId,
};

mod api;
mod case;
mod compile;
mod error;
mod file;
mod freshness;
mod marks;
mod route;
mod tree;
mod twin;
mod view;

pub use api::{Api, Customers};
pub use case::Answered;
pub use error::BadPolicy;
pub use route::{Access, Matched, Route, Routes, Unmatched};
pub use view::View;

use marks::Marks;

/// The policy of Keygate's own API.
pub const OWN_POLICY: &str = include_str!("../policy/keygate.toml");

/// The role that leads a customer: every customer keeps one person with it.
pub const SUPERUSER: &str = "superuser";

/// All policies, compiled into one.
#[derive(Debug)]
pub struct Policy {
    /// What it was compiled from, for compiling it with other APIs beside it.
    source: String,
    /// The hosts under which Keygate's own API is decided about by its gate too, in front of it.
    own_hosts: Vec<String>,
    names: Vec<String>,
    numbers: HashMap<String, Action>,
    scopes: HashMap<String, ActionSet>,
    roles: HashMap<String, ActionSet>,
    permissions: [ActionSet; Permission::ALL.len()],
    marks: Marks,
    own: Routes,
    apis: Vec<Api>,
    by_host: HashMap<String, usize, RandomState>,
}

/// The policy of a protected API, to be compiled with the others.
#[derive(Clone, Copy, Debug)]
pub struct ApiSource<'a> {
    /// The file. None: it was taken back, and only its words are remembered.
    pub text: Option<&'a str>,
    /// Scopes and roles that it once defined, as `scope NAME` and `role NAME`: tokens may have them still, and then they
    /// contain nothing.
    pub retired: &'a [String],
}

impl Policy {
    /// Compiles Keygate's own policy, without any other.
    ///
    /// # Errors
    /// [`BadPolicy`] names the first thing that is wrong with it.
    pub fn compile(text: &str) -> Result<Self, BadPolicy> {
        Self::compile_all(text, Vec::new(), &[])
    }

    /// The same policy, with Keygate's own API under these hosts too.
    #[must_use]
    pub fn at(mut self, own_hosts: Vec<String>) -> Self {
        self.own_hosts = own_hosts;
        self
    }

    /// Compiles this policy of Keygate's own with those of protected APIs beside it, instead of any it has.
    ///
    /// # Errors
    /// [`BadPolicy`] names the first thing that is wrong with one of them, or between them.
    pub fn with(&self, apis: &[ApiSource<'_>]) -> Result<Self, BadPolicy> {
        Self::compile_all(&self.source, self.own_hosts.clone(), apis)
    }

    /// Finds what a request to Keygate's own API is.
    ///
    /// # Errors
    /// [`Unmatched`]: no route, and no route is no permission.
    pub fn route<'a>(&'a self, method: Method, path: &Path<'a>) -> Result<Matched<'a>, Unmatched> {
        self.own.find(method, path)
    }

    /// Finds what a request to this host is.
    ///
    /// # Errors
    /// [`Unmatched`]: no policy is about this host, or it names no such route.
    pub fn route_at<'a>(
        &'a self,
        host: &Host<'_>,
        method: Method,
        path: &Path<'a>,
    ) -> Result<Matched<'a>, Unmatched> {
        match self.by_host.get(host.as_str()) {
            Some(place) => self.apis[*place].routes.find(method, path),
            None if self.own_hosts.iter().any(|own| own == host.as_str()) => self.own.find(method, path),
            // Whether a host is anybody's is told to nobody by a path that is wrong everywhere.
            None if path.reading() != Reading::PLAIN => Err(Unmatched::Ambiguous),
            None => Err(Unmatched::NoRoute),
        }
    }

    /// All routes of Keygate's own, for tests that hold the router against them.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        self.own.all()
    }

    /// The protected APIs.
    #[must_use]
    pub fn apis(&self) -> &[Api] {
        &self.apis
    }

    /// The protected API that an action is of. None: it is Keygate's own.
    #[must_use]
    pub fn api_of(&self, action: Action) -> Option<&Api> {
        // They are in the order of their numbers.
        let after = self.apis.partition_point(|api| api.starts_by(action));
        self.apis.get(after.checked_sub(1)?).filter(|api| api.has(action))
    }

    /// Whether a customer's tokens are good where an action is done.
    #[must_use]
    pub fn serves(&self, action: Action, customer: CustomerId) -> bool {
        usize::from(action.number()) < OWN.len()
            || self.api_of(action).is_none_or(|api| api.customers.include(customer))
    }

    /// Whether a customer's tokens are good at a host. No policy's host is Keygate's own, or nobody's.
    #[must_use]
    pub fn serves_at(&self, host: &Host<'_>, customer: CustomerId) -> bool {
        self.by_host.get(host.as_str()).is_none_or(|place| self.apis[*place].customers.include(customer))
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

    /// The names of the scopes to be had, sorted.
    #[must_use]
    pub fn scope_names(&self) -> Vec<&str> {
        sorted(&self.scopes)
    }

    /// The name of the scope that contains an action and the least beside it.
    #[must_use]
    pub fn smallest_scope(&self, action: Action) -> Option<&str> {
        smallest(&self.scopes, action)
    }

    /// The name of the role that contains an action and the least beside it.
    #[must_use]
    pub fn smallest_role(&self, action: Action) -> Option<&str> {
        smallest(&self.roles, action)
    }

    /// What the role of this name contains.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<ActionSet> {
        self.roles.get(name).copied()
    }

    /// The names of the roles to be had, sorted.
    #[must_use]
    pub fn role_names(&self) -> Vec<&str> {
        sorted(&self.roles)
    }

    /// The name of an action.
    #[must_use]
    pub fn name(&self, action: Action) -> &str {
        self.names.get(usize::from(action.number())).map_or("unknown", String::as_str)
    }

    /// The names of the actions in a set.
    #[must_use]
    pub fn names(&self, set: ActionSet) -> Vec<&str> {
        let numbers = 0..u16::try_from(self.names.len()).unwrap_or(u16::MAX);
        numbers
            .map(Action::numbered)
            .filter(|action| set.contains(*action))
            .map(|action| self.name(action))
            .collect()
    }

    /// What a permission on a service allows there.
    #[must_use]
    pub fn permission(&self, permission: Permission) -> ActionSet {
        let place = Permission::ALL.iter().position(|known| *known == permission);
        place.map_or(ActionSet::EMPTY, |place| self.permissions[place])
    }

    /// The action of this name.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<Action> {
        self.numbers.get(name).copied()
    }
}

fn smallest(sets: &HashMap<String, ActionSet>, action: Action) -> Option<&str> {
    let having = sets.iter().filter(|(_, set)| set.contains(action));
    having.min_by_key(|(name, set)| (set.len(), *name)).map(|(name, _)| name.as_str())
}

fn sorted(sets: &HashMap<String, ActionSet>) -> Vec<&str> {
    let on_offer = sets.iter().filter(|(_, set)| !set.is_empty());
    let mut names: Vec<_> = on_offer.map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests;
