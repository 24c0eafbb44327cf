//! The book: what the policies in force make of the scopes and roles that tokens and people have. Replaced as a whole when
//! a policy changes, so that a decision is made by one policy from its beginning to its end.

use std::sync::Arc;

use keygate_model::{ActionSet, Policy};

/// A policy, with the scopes and roles that are in use by their numbers.
#[derive(Clone)]
pub(crate) struct Book {
    pub(crate) policy: Arc<Policy>,
    scopes: Vec<Named>,
    roles: Vec<Named>,
}

/// What stands on a token or a person, and what it means.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) word: Box<str>,
    /// None: the policy does not know it.
    pub(crate) set: Option<ActionSet>,
}

/// The number of what is not numbered: more different scopes or roles than policies may have.
pub(crate) const UNNUMBERED: u16 = u16::MAX;

impl Book {
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self { policy, scopes: Vec::new(), roles: Vec::new() }
    }

    pub(crate) fn scope(&self, number: u16) -> Option<&Named> {
        self.scopes.get(usize::from(number))
    }

    pub(crate) fn role(&self, number: u16) -> Option<&Named> {
        self.roles.get(usize::from(number))
    }

    /// What these scopes contain together. None: the policy does not know one of them.
    pub(crate) fn union(&self, numbers: &[u16]) -> Option<ActionSet> {
        let mut sets = numbers.iter().map(|number| self.scope(*number)?.set);
        sets.try_fold(ActionSet::EMPTY, |union, set| Some(union.union(set?)))
    }

    /// The number of a scope. The book that has it, if this one did not.
    pub(crate) fn scope_number(&self, word: &str) -> (u16, Option<Self>) {
        let add = |mut book: Self| {
            book.scopes.push(Named { word: word.into(), set: self.policy.scope(word) });
            book
        };
        self.number(&self.scopes, word, add)
    }

    /// The same for a role.
    pub(crate) fn role_number(&self, word: &str) -> (u16, Option<Self>) {
        let add = |mut book: Self| {
            book.roles.push(Named { word: word.into(), set: self.policy.role(word) });
            book
        };
        self.number(&self.roles, word, add)
    }

    fn number(&self, among: &[Named], word: &str, add: impl FnOnce(Self) -> Self) -> (u16, Option<Self>) {
        let fit = |place| u16::try_from(place).ok().filter(|number| *number != UNNUMBERED);
        if let Some(place) = among.iter().position(|named| *named.word == *word) {
            return (fit(place).unwrap_or(UNNUMBERED), None);
        }
        match fit(among.len()) {
            Some(number) => (number, Some(add(self.clone()))),
            None => (UNNUMBERED, None),
        }
    }

    /// The same numbers under another policy.
    pub(crate) fn under(&self, policy: Arc<Policy>) -> Self {
        let renamed = |named: &[Named], set: &dyn Fn(&str) -> Option<ActionSet>| {
            named.iter().map(|named| Named { word: named.word.clone(), set: set(&named.word) }).collect()
        };
        Self {
            scopes: renamed(&self.scopes, &|word| policy.scope(word)),
            roles: renamed(&self.roles, &|word| policy.role(word)),
            policy,
        }
    }
}
