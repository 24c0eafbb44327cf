//! The policy file, read once more and naively: names, lists, and sets of numbered actions.

use std::collections::BTreeMap;

use keygate_model::{Action, Policy, policy::OWN_POLICY};
use toml::{Table, Value};

/// A set of actions: a bit for each, by its number in [`Book::actions`].
pub(crate) type Set = u64;

/// What the policy says.
pub(crate) struct Book {
    /// Every action: its name, and what the gate calls it.
    pub(crate) actions: Vec<(String, Action)>,
    pub(crate) read: Set,
    pub(crate) account: Set,
    pub(crate) unenrolled: Set,
    /// About the person who asks.
    pub(crate) own: Set,
    pub(crate) personal: Set,
    /// Those that need a password.
    pub(crate) sudo: Set,
    /// For each action, the one that a machine needs instead.
    pub(crate) for_machine: Vec<usize>,
    /// The right to make tokens, which is used by making them.
    pub(crate) mint: usize,
    explicit: Set,
    file: Table,
}

impl Book {
    pub(crate) fn read(policy: &Policy) -> Self {
        let file: Table = OWN_POLICY.parse().expect("the policy is TOML");
        let lines = file["actions"].as_table().expect("a table").clone();
        let known = |name: &String| (name.clone(), policy.action(name).expect("an action"));
        let actions: Vec<_> = lines.keys().map(known).collect();
        assert!(actions.len() <= 64, "a wider set is needed");
        let number = |wanted: &str| actions.iter().position(|(name, _)| name == wanted).expect("an action");
        let marked = |mark: &str| {
            let is = |name: &str| lines[name].get(mark).is_some_and(|value| value.as_bool() == Some(true));
            actions.iter().filter(|(name, _)| is(name)).map(|(name, _)| 1 << number(name)).sum()
        };
        let instead = |name: &String| {
            number(lines[name].get("machine").and_then(Value::as_str).unwrap_or(name.as_str()))
        };
        Self {
            read: marked("read"),
            account: marked("account"),
            unenrolled: marked("unenrolled"),
            own: marked("own"),
            personal: marked("personal"),
            sudo: marked("sudo") | marked("people"),
            explicit: marked("explicit"),
            for_machine: actions.iter().map(|(name, _)| instead(name)).collect(),
            mint: number("automation_token:mint"),
            actions,
            file,
        }
    }

    /// What scopes with spaces between them contain.
    pub(crate) fn scopes(&self, names: &str) -> Set {
        names.split(' ').map(|name| self.listed("scopes", name)).fold(0, |set, one| set | one)
    }

    pub(crate) fn role(&self, name: &str) -> Set {
        self.listed("roles", name)
    }

    pub(crate) fn permission(&self, name: &str) -> Set {
        self.listed("permissions", name)
    }

    pub(crate) fn set(&self, names: &[&str]) -> Set {
        let has = |name: &String| names.contains(&name.as_str());
        let numbered: BTreeMap<usize, &String> =
            self.actions.iter().map(|(name, _)| name).enumerate().collect();
        numbered.iter().filter(|(_, name)| has(name)).fold(0, |set, (number, _)| set | 1 << number)
    }

    fn listed(&self, table: &str, name: &str) -> Set {
        let words = self.file[table][name].as_array().expect("a list");
        let all = (1 << self.actions.len()) - 1;
        let of = |word: &Value| match word.as_str().expect("a name") {
            "*" => all & !self.explicit,
            "@read" => self.read,
            one => self.set(&[one]),
        };
        words.iter().map(of).fold(0, |set, one| set | one)
    }
}
