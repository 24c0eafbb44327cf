//! Service authorisations: what a person who is limited to services may do on each of them (CONTRACT §17).

use std::sync::Arc;

use crate::id::ServiceId;

/// What one person may do on one service. Which actions that is, stands in the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// All that their role allows.
    Full,
    /// Look at it.
    ReadOnly,
    /// Purge by key and by URL, and look.
    PurgeSelect,
    /// Purge everything too.
    PurgeAll,
}

impl Permission {
    /// Every permission there is.
    pub const ALL: [Self; 4] = [Self::Full, Self::ReadOnly, Self::PurgeSelect, Self::PurgeAll];

    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::PurgeSelect => "purge_select",
            Self::PurgeAll => "purge_all",
        }
    }

    /// The permission that a word means.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == word)
    }
}

/// The services that a person reaches. *All* is a value of its own; nobody is limited by forgetting to say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Every service of the customer, as far as their role goes.
    #[default]
    All,
    /// These, each as far as its permission goes. None of them: no service at all.
    Granted(Grants),
}

/// Permissions by service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Arc<[(ServiceId, Permission)]>);

impl Grants {
    /// What a person is granted on this service.
    #[must_use]
    pub fn on(&self, service: ServiceId) -> Option<Permission> {
        let place = self.0.binary_search_by_key(&service, |(id, _)| *id).ok()?;
        Some(self.0[place].1)
    }

    /// The services, with what is granted on each.
    #[must_use]
    pub fn all(&self) -> &[(ServiceId, Permission)] {
        &self.0
    }
}

impl FromIterator<(ServiceId, Permission)> for Grants {
    /// Of two on one service, the later stands.
    fn from_iter<I: IntoIterator<Item = (ServiceId, Permission)>>(grants: I) -> Self {
        let by_service: std::collections::BTreeMap<_, _> = grants.into_iter().collect();
        Self(by_service.into_iter().collect())
    }
}
