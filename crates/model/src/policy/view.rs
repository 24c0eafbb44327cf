//! What of the policies is told to whom: an API for some customers is nobody else's to know of, nor are the names of its
//! scopes, roles and actions.

use super::{Customers, Policy, compile::ALWAYS};
use crate::{action::ActionSet, id::CustomerId};

/// The policies as somebody may see them.
pub struct View<'p> {
    policy: &'p Policy,
    actions: ActionSet,
}

impl Policy {
    /// The policies as a customer may see them; as everybody may, if it is none.
    #[must_use]
    pub fn seen_by(&self, customer: Option<CustomerId>) -> View<'_> {
        let others = self.apis.iter().filter(|api| match customer {
            Some(customer) => !api.customers.include(customer),
            None => api.customers != Customers::All,
        });
        let hidden = others.flat_map(super::Api::actions).collect();
        View { policy: self, actions: self.all().minus(hidden) }
    }
}

impl<'p> View<'p> {
    /// All actions.
    #[must_use]
    pub fn actions(&self) -> ActionSet {
        self.actions
    }

    /// The names of the scopes to be had, sorted.
    #[must_use]
    pub fn scope_names(&self) -> Vec<&'p str> {
        let names = self.policy.scope_names().into_iter();
        names.filter(|name| self.has_some(self.policy.scope(name))).collect()
    }

    /// The names of the roles to be had, sorted.
    #[must_use]
    pub fn role_names(&self) -> Vec<&'p str> {
        let names = self.policy.role_names().into_iter();
        names.filter(|name| self.has_some(self.policy.role(name))).collect()
    }

    /// What a list of scopes contains, for a token that is to be made: one that contains nothing any more, or nothing
    /// here, is not to be had.
    #[must_use]
    pub fn scopes_on_offer(&self, names: &str) -> Option<ActionSet> {
        let on_offer = |name: &str| self.has_some(self.policy.scope(name));
        self.policy.scopes(names).filter(|_| names.split(' ').all(on_offer))
    }

    /// The same of a role, for somebody who is to have it.
    #[must_use]
    pub fn role_on_offer(&self, name: &str) -> Option<ActionSet> {
        self.policy.role(name).filter(|set| self.has_some(Some(*set)))
    }

    /// What is shown of a role.
    #[must_use]
    pub fn role(&self, name: &str) -> ActionSet {
        self.policy.role(name).unwrap_or_default().intersect(self.actions)
    }

    /// What a set of actions is called that was asked for in vain. Where all of it is hidden, it has no other name.
    #[must_use]
    pub fn excess(&self, set: ActionSet) -> String {
        let names = self.policy.names(set.intersect(self.actions));
        if names.is_empty() { "actions that are not yours".to_owned() } else { names.join(", ") }
    }

    fn has_some(&self, set: Option<ActionSet>) -> bool {
        // What every scope contains says nothing about whose it is.
        set.is_some_and(|set| !set.intersect(self.actions).minus(ActionSet::from_iter(ALWAYS)).is_empty())
    }
}
