//! Customers: the tenants that everything belongs to.

/// Whether a customer's people and tokens may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomerState {
    /// May act.
    Active,
    /// Suspended by the operator: every token is refused, with a code of its own.
    Suspended,
}

impl CustomerState {
    /// The stored word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    /// The state that a stored word means.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Active, Self::Suspended].into_iter().find(|state| state.as_str() == word)
    }
}
