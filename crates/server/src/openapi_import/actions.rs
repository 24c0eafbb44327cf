//! What operations are called as actions, and which scope has which of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    ActionFrom, ImportError, Options, Warning,
    operations::Operation,
    routes::Table,
    security::{self, Security},
};

/// The actions of all operations.
pub(super) struct Actions {
    /// By the number of the operation.
    names: Vec<String>,
    policy: String,
}

/// An action as the policy defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) read: bool,
    pub(super) sudo: bool,
}

impl Marks {
    pub(super) fn of(operation: &Operation<'_>) -> Self {
        Self { read: operation.read, sudo: operation.sudo }
    }
}

impl Actions {
    /// Names the actions, each after its operation, or as the document says.
    pub(super) fn name(operations: &[Operation<'_>], options: &Options, warnings: &mut Vec<Warning>) -> Self {
        let said: HashSet<&str> = operations.iter().filter_map(|operation| operation.action).collect();
        let taken = said.iter().map(|name| (*name).to_owned()).collect();
        let mut naming = Naming { said, taken, wanted: HashMap::new(), tagged: HashMap::new() };
        let mut names = Vec::new();
        for operation in operations {
            names.push(match (operation.action, options.action_from) {
                (Some(name), _) => name.to_owned(),
                (None, ActionFrom::Tag) => naming.by_tag(operation),
                (None, ActionFrom::OperationId) => naming.by_id(operation, warnings),
            });
        }
        Self { names, policy: options.name.clone() }
    }

    pub(super) fn of(&self, operation: usize) -> &str {
        &self.names[operation]
    }

    /// The actions that routes name, with their marks: only what all of an action's operations say loosens it.
    pub(super) fn defined(&self, table: &Table, operations: &[Operation<'_>]) -> Vec<(&str, Marks)> {
        let mut defined: Vec<(&str, Marks)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for number in self.decided(table, operations) {
            let marks = Marks::of(&operations[number]);
            match places.get(self.of(number)) {
                Some(&place) => {
                    let known = &mut defined[place].1;
                    *known = Marks { read: known.read && marks.read, sudo: known.sudo || marks.sudo };
                }
                None => {
                    places.insert(self.of(number), defined.len());
                    defined.push((self.of(number), marks));
                }
            }
        }
        defined
    }

    /// The scopes, and what each has: an action is in a scope if that is enough for all of its operations.
    pub(super) fn scopes(
        &self,
        table: &Table,
        operations: &[Operation<'_>],
        warnings: &mut Vec<Warning>,
    ) -> Result<BTreeMap<String, Vec<&str>>, ImportError> {
        let decided = self.decided(table, operations);
        let mut needs: BTreeMap<&str, Vec<&Security>> = BTreeMap::new();
        let mut order: Vec<&str> = Vec::new();
        for number in &decided {
            let name = self.of(*number);
            if !needs.contains_key(name) {
                order.push(name);
            }
            needs.entry(name).or_default().push(&operations[*number].security);
        }
        self.warn_of_narrowed(&needs, warnings);
        let all: Vec<&Security> = needs.values().flatten().copied().collect();
        let sets: BTreeSet<_> = all.iter().flat_map(|security| security.sets()).collect();
        if sets.len() > SCOPES_MAX {
            let why = format!("the operations name more than {SCOPES_MAX} scopes and sets of scopes");
            return Err(ImportError::new("security", why));
        }
        warn_of_joined(&sets, warnings);
        let mut scopes = BTreeMap::new();
        for (name, set) in security::scope_names(sets, &self.policy, warnings) {
            let has = |action: &&str| needs[*action].iter().all(|security| security.is_met_by(&set));
            let actions: Vec<&str> = order.iter().copied().filter(has).collect();
            if !actions.is_empty() {
                scopes.insert(name, actions);
            }
        }
        Ok(scopes)
    }

    /// The operations that a route decides about.
    fn decided(&self, table: &Table, operations: &[Operation<'_>]) -> Vec<usize> {
        let open = table.routes.iter().filter(|route| route.closed.is_none());
        let numbers: BTreeSet<usize> = open.flat_map(|route| route.operations.iter().copied()).collect();
        numbers.into_iter().filter(|number| !operations[*number].public).collect()
    }

    fn warn_of_narrowed(&self, needs: &BTreeMap<&str, Vec<&Security>>, warnings: &mut Vec<Warning>) {
        for (name, needs) in needs {
            if needs.iter().any(|security| **security != *needs[0]) {
                let what = format!(
                    "operations with different security share the action {name:?}: only scopes that are enough for \
                     each of them have it"
                );
                warnings.push(Warning { place: "paths".to_owned(), what });
            }
        }
    }
}

fn warn_of_joined(sets: &BTreeSet<&BTreeSet<String>>, warnings: &mut Vec<Warning>) {
    for set in sets.iter().filter(|set| set.len() > 1) {
        let names = set.iter().map(String::as_str).collect::<Vec<_>>();
        let what = format!(
            "operations that need the scopes {} together are in {:?} only, a scope of its own: a token that has them \
             one by one does not reach these operations",
            names.join(" and "),
            security::joined(set)
        );
        warnings.push(Warning { place: "security".to_owned(), what });
    }
}

/// Names that are given by now.
struct Naming<'d> {
    /// Those that the document itself says. An operation whose id is one of them shares it.
    said: HashSet<&'d str>,
    taken: HashSet<String>,
    /// How often each was wanted.
    wanted: HashMap<String, usize>,
    /// Actions named after a tag, by the security that their operations have in common.
    tagged: HashMap<(String, String), String>,
}

impl Naming<'_> {
    fn by_id(&mut self, operation: &Operation<'_>, warnings: &mut Vec<Warning>) -> String {
        let wanted = called(operation);
        if self.said.contains(wanted.as_str()) {
            return wanted;
        }
        let name = self.unique(wanted.clone());
        if name != wanted {
            let what = format!("the name {wanted:?} is taken: this is {name:?}");
            warnings.push(Warning { place: operation.place.clone(), what });
        }
        name
    }

    /// Operations of one tag share an action if they need the same, so that no scope gets more by the sharing.
    fn by_tag(&mut self, operation: &Operation<'_>) -> String {
        let tag = operation.tag.map(|tag| plain(&tag.to_lowercase())).filter(|tag| !tag.is_empty());
        let kind = if operation.read { "read" } else { "write" };
        let sudo = if operation.sudo { ":sudo" } else { "" };
        let wanted = format!("{}:{kind}{sudo}", tag.unwrap_or_else(|| "untagged".to_owned()));
        let key = (wanted.clone(), operation.security.words());
        if let Some(name) = self.tagged.get(&key) {
            return name.clone();
        }
        let name = self.unique(wanted);
        self.tagged.insert(key, name.clone());
        name
    }

    fn unique(&mut self, wanted: String) -> String {
        let times = self.wanted.entry(wanted.clone()).or_insert(0);
        loop {
            *times += 1;
            let name = if *times == 1 { wanted.clone() } else { format!("{wanted}-{times}") };
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// What the document calls an operation.
pub(super) fn called(operation: &Operation<'_>) -> String {
    operation.id.map(plain).filter(|name| !name.is_empty()).unwrap_or_else(|| by_path(operation))
}

/// `GET /orders/{order}/items` as `orders.order.items:get`.
fn by_path(operation: &Operation<'_>) -> String {
    let segments = operation.path.split('/').map(plain).filter(|segment| !segment.is_empty());
    let path = segments.collect::<Vec<_>>().join(".");
    let path = if path.is_empty() { "root".to_owned() } else { path };
    format!("{path}:{}", operation.method.to_lowercase())
}

/// A name in A-Z, a-z, 0-9 and `_.:-`, with one `_` for whatever else stands between.
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    let words = name.split(|c| !is_plain(c)).filter(|word| !word.is_empty());
    let plain = words.collect::<Vec<_>>().join("_");
    plain.chars().take(NAME_CHARS_MAX).collect::<String>().trim_matches(':').to_owned()
}

const SCOPES_MAX: usize = 1000;
const NAME_CHARS_MAX: usize = 120;
