//! Customers: the tenants that everything belongs to.

use std::sync::LazyLock;

use crate::{action::Action, network::Networks};

/// Whether a customer's people and tokens may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomerState {
    /// May act.
    Active,
    /// Suspended by the operator: every token is refused, with a code of its own.
    Suspended,
    /// Closed by its owner: as suspended, for ever.
    Closed,
}

impl CustomerState {
    /// The stored word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }

    /// The state that a stored word means.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Closed].into_iter().find(|state| state.as_str() == word)
    }
}

/// What a customer rules for all of its tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Where they may be used from.
    pub networks: Networks,
    /// What none of them may do, whatever scope and role say: a list, because it is short and every customer has one.
    pub forbids: Vec<Action>,
    /// Whether people must have a second factor.
    pub force_factor: bool,
}

impl Rules {
    /// The rules of a customer that has made none.
    #[must_use]
    pub fn none() -> &'static Self {
        static NONE: LazyLock<Rules> = LazyLock::new(Rules::default);
        &NONE
    }
}
