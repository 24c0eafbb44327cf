//! Services, as far as a decision needs them: which of them a token is limited to.

use std::sync::Arc;

use crate::id::ServiceId;

/// The services that a token may touch. *All* is a value of its own: the wire writes it as an empty list
/// (CONTRACT §1), and here an empty list cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Services {
    /// Every service of the customer, also those to come.
    All,
    /// These and no others.
    Only(ServiceList),
}

/// A list of at least one service: as given for display, and sorted for look-up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceList {
    given: Arc<[ServiceId]>,
    sorted: Arc<[ServiceId]>,
}

/// An empty list grants nothing, and a token that may touch nothing is a mistake.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an empty list grants nothing")]
pub struct EmptyList;

impl Services {
    /// Limits to these services, in the order given, without repetitions.
    ///
    /// # Errors
    /// [`EmptyList`] for no services: that is neither "none" nor "all".
    pub fn only(services: impl IntoIterator<Item = ServiceId>) -> Result<Self, EmptyList> {
        let mut given = Vec::new();
        for service in services {
            if !given.contains(&service) {
                given.push(service);
            }
        }
        if given.is_empty() {
            return Err(EmptyList);
        }
        let mut sorted = given.clone();
        sorted.sort_unstable();
        Ok(Self::Only(ServiceList { given: given.into(), sorted: sorted.into() }))
    }

    /// Whether `service` is among them.
    #[must_use]
    pub fn contains(&self, service: ServiceId) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => list.sorted.binary_search(&service).is_ok(),
        }
    }

    /// Whether every service here is among `wider`.
    #[must_use]
    pub fn is_within(&self, wider: &Self) -> bool {
        match (self, wider) {
            (_, Self::All) => true,
            (Self::All, Self::Only(_)) => false,
            (Self::Only(list), Self::Only(_)) => list.sorted.iter().all(|service| wider.contains(*service)),
        }
    }

    /// The list as the contract writes it: empty for all, else in the order given.
    #[must_use]
    pub fn listed(&self) -> &[ServiceId] {
        match self {
            Self::All => &[],
            Self::Only(list) => &list.given,
        }
    }

    /// Whether there is a list at all.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        matches!(self, Self::Only(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(bits: u128) -> ServiceId {
        ServiceId::from_bits(bits)
    }

    #[test]
    fn an_empty_list_cannot_be_made() {
        assert_eq!(Services::only([]), Err(EmptyList));
    }

    #[test]
    fn within_is_never_wider() {
        let two = Services::only([id(2), id(1), id(2)]).unwrap();
        let one = Services::only([id(1)]).unwrap();
        assert!(one.is_within(&two) && !two.is_within(&one));
        assert!(two.is_within(&Services::All) && !Services::All.is_within(&two));
        assert_eq!(two.listed(), [id(2), id(1)]);
        assert!(!two.contains(id(3)));
    }
}
