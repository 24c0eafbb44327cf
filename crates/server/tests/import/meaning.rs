//! What a policy means: who may do what.

use std::collections::{BTreeSet, HashMap};

/// A policy, ready to be asked.
pub(crate) struct Meaning {
    actions: HashMap<String, bool>,
    scopes: HashMap<String, BTreeSet<String>>,
    routes: HashMap<String, matchit::Router<toml::Value>>,
}

impl Meaning {
    pub(crate) fn of(policy: &str) -> Self {
        let policy: toml::Table = policy.parse().unwrap();
        let table = |name: &str| policy[name].as_table().unwrap().clone();
        let read = |line: &toml::Value| line.get("read").is_some_and(|read| read.as_bool().unwrap());
        let names = |list: &toml::Value| {
            list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let mut routes: HashMap<String, matchit::Router<toml::Value>> = HashMap::new();
        for (on, line) in table("routes") {
            let (method, path) = on.split_once(' ').unwrap();
            routes.entry(method.to_owned()).or_default().insert(path, line).unwrap();
        }
        Self {
            actions: table("actions").iter().map(|(name, line)| (name.clone(), read(line))).collect(),
            scopes: table("scopes").iter().map(|(name, list)| (name.clone(), names(list))).collect(),
            routes,
        }
    }

    /// The scopes that it defines.
    pub(crate) fn scopes(&self) -> Vec<&str> {
        self.scopes.keys().map(String::as_str).collect()
    }

    /// The route that a request is of.
    pub(crate) fn route(&self, method: &str, path: &str) -> Option<&toml::Value> {
        Some(self.routes.get(method)?.at(path).ok()?.value)
    }

    /// Whether a token with these scopes may; without any there is no token.
    pub(crate) fn allows(&self, method: &str, path: &str, scopes: &[&str]) -> bool {
        let Some(route) = self.route(method, path) else { return false };
        if route.get("public").is_some() {
            return true;
        }
        let Some(action) = route.get("action").and_then(toml::Value::as_str) else { return false };
        let reads = self.actions[action];
        scopes.iter().any(|scope| match *scope {
            "global" => true,
            "global:read" => reads,
            scope => self.scopes[scope].contains(action),
        })
    }
}
