//! Actions: the single things that can be done, and sets of them.

use std::fmt;

/// One thing that can be done, as its number in the policy. Keygate's own are the constants below; an operator's policies
/// add further ones after them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Action(u16);

/// The names of Keygate's own actions, in the order of the constants. `policy/keygate.toml` must name each.
pub const OWN: [&str; 43] = [
    "token:create",
    "token:read",
    "token:read_any",
    "token:revoke",
    "token:revoke_any",
    "token:read_self",
    "token:revoke_self",
    "sudo:start",
    "user:read_self",
    "customer:read_self",
    "event:read",
    "service:list",
    "service:read",
    "service:create",
    "service:update",
    "service:delete",
    "purge:key",
    "purge:url",
    "purge:all",
    "automation_token:create",
    "automation_token:mint",
    "automation_token:read",
    "user:read_any",
    "user:create",
    "user:update_self",
    "user:update_any",
    "user:delete",
    "password:change",
    "password:reset",
    "factor:enrol",
    "factor:disable",
    "invitation:read",
    "invitation:create",
    "invitation:delete",
    "customer:update",
    "customer:delete",
    "authorization:read",
    "authorization:update",
    "role:read",
    "billing:read",
    "service:activate",
    "token:introspect",
    "feed:follow",
];

impl Action {
    /// Make a token for oneself.
    pub const TOKEN_CREATE: Self = Self(0);
    /// See one's own tokens.
    pub const TOKEN_READ: Self = Self(1);
    /// See the tokens of everybody in the customer.
    pub const TOKEN_READ_ANY: Self = Self(2);
    /// Revoke one's own tokens.
    pub const TOKEN_REVOKE: Self = Self(3);
    /// Revoke the tokens of everybody in the customer.
    pub const TOKEN_REVOKE_ANY: Self = Self(4);
    /// See the token that asks, and whose it is. In every scope: status checks live on it.
    pub const TOKEN_READ_SELF: Self = Self(5);
    /// Revoke the token that asks. In every scope: a holder may always give it up.
    pub const TOKEN_REVOKE_SELF: Self = Self(6);
    /// Start sudo on the token that asks.
    pub const SUDO_START: Self = Self(7);
    /// See the person behind the token.
    pub const USER_READ_SELF: Self = Self(8);
    /// See the customer behind the token.
    pub const CUSTOMER_READ_SELF: Self = Self(9);
    /// See the audit log.
    pub const EVENT_READ: Self = Self(10);
    /// See the services there are.
    pub const SERVICE_LIST: Self = Self(11);
    /// See one service.
    pub const SERVICE_READ: Self = Self(12);
    /// Make a service.
    pub const SERVICE_CREATE: Self = Self(13);
    /// Change a service.
    pub const SERVICE_UPDATE: Self = Self(14);
    /// Delete a service.
    pub const SERVICE_DELETE: Self = Self(15);
    /// Purge by surrogate key.
    pub const PURGE_KEY: Self = Self(16);
    /// Purge one URL.
    pub const PURGE_URL: Self = Self(17);
    /// Purge everything of a service.
    pub const PURGE_ALL: Self = Self(18);
    /// Make an automation token: a person's, in sudo.
    pub const AUTOMATION_TOKEN_CREATE: Self = Self(19);
    /// Make an automation token with an automation token. In no scope that does not name it.
    pub const AUTOMATION_TOKEN_MINT: Self = Self(20);
    /// See the automation tokens of the customer.
    pub const AUTOMATION_TOKEN_READ: Self = Self(21);
    /// See everybody in the customer.
    pub const USER_READ_ANY: Self = Self(22);
    /// Add a person.
    pub const USER_CREATE: Self = Self(23);
    /// Change one's own name or login.
    pub const USER_UPDATE_SELF: Self = Self(24);
    /// Change, lock and unlock anybody in the customer, and their role.
    pub const USER_UPDATE_ANY: Self = Self(25);
    /// Remove a person.
    pub const USER_DELETE: Self = Self(26);
    /// Change one's own password, by showing the old one.
    pub const PASSWORD_CHANGE: Self = Self(27);
    /// Ask for a link that sets a new password.
    pub const PASSWORD_RESET: Self = Self(28);
    /// Set up one's own second factor.
    pub const FACTOR_ENROL: Self = Self(29);
    /// Take one's own second factor away.
    pub const FACTOR_DISABLE: Self = Self(30);
    /// See who is invited.
    pub const INVITATION_READ: Self = Self(31);
    /// Invite somebody, to a role no wider than one's own.
    pub const INVITATION_CREATE: Self = Self(32);
    /// Take an invitation back.
    pub const INVITATION_DELETE: Self = Self(33);
    /// Change the customer and its settings.
    pub const CUSTOMER_UPDATE: Self = Self(34);
    /// Close the customer.
    pub const CUSTOMER_DELETE: Self = Self(35);
    /// See who is limited to which services.
    pub const AUTHORIZATION_READ: Self = Self(36);
    /// Change who is limited to which services.
    pub const AUTHORIZATION_UPDATE: Self = Self(37);
    /// See roles, permissions and groups.
    pub const ROLE_READ: Self = Self(38);
    /// See what is billed. Nothing of Keygate's own; what sets the billing role apart, also for invitations.
    pub const BILLING_READ: Self = Self(39);
    /// Put a version of a service to use, or take it out of use.
    pub const SERVICE_ACTIVATE: Self = Self(40);
    /// Learn whether a token of the customer is alive, whose it is and what it may do, by showing its secret.
    pub const TOKEN_INTROSPECT: Self = Self(41);
    /// Follow the feed, as a gate without a database does. In no scope that does not name it.
    pub const FEED_FOLLOW: Self = Self(42);

    /// The action with this number; policies number theirs after [`OWN`].
    #[must_use]
    pub const fn numbered(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match OWN.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "action {}", self.0),
        }
    }
}

/// How many actions there may be, Keygate's own among them.
pub const ACTIONS_MAX: usize = 4096;

const WORDS: usize = ACTIONS_MAX / 64;

/// A set of actions; [`ACTIONS_MAX`] are possible. The empty set grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActionSet([u64; WORDS]);

impl Default for ActionSet {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl ActionSet {
    /// Nothing.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Adds `action`. One that no policy may number is left out.
    pub fn insert(&mut self, action: Action) {
        if let Some(word) = self.0.get_mut(usize::from(action.0 / 64)) {
            *word |= 1 << (action.0 % 64);
        }
    }

    /// Whether `action` is in it.
    #[must_use]
    pub fn contains(&self, action: Action) -> bool {
        self.0.get(usize::from(action.0 / 64)).is_some_and(|word| word >> (action.0 % 64) & 1 == 1)
    }

    /// What is in this set or in `other`.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// What is in both.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// What is not in this set.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

    /// How many are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        let mut set = Self::EMPTY;
        actions.into_iter().for_each(|action| set.insert(action));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_behaves_like_a_set(
            left in prop::collection::vec(0..4096u16, 0..40),
            right in prop::collection::vec(0..4096u16, 0..40),
            probe in 0..4096u16,
        ) {
            let set = |of: &[u16]| of.iter().copied().map(Action::numbered).collect::<ActionSet>();
            let (a, b, probe) = (set(&left), set(&right), Action::numbered(probe));
            prop_assert_eq!(a.union(b).contains(probe), a.contains(probe) || b.contains(probe));
            prop_assert_eq!(a.minus(b).contains(probe), a.contains(probe) && !b.contains(probe));
            prop_assert_eq!(a.minus(a).is_empty(), true);
            prop_assert!(left.iter().all(|number| a.contains(Action::numbered(*number))));
        }
    }
}
