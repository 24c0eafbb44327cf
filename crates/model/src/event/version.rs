//! What happens to versions of services.

use serde_json::{Value, json};

use crate::{id::ServiceId, version::Environment};

/// A version was made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionEvent {
    /// Of which service.
    pub service: ServiceId,
    /// The number of the version.
    pub number: u32,
    /// What happened to it.
    pub what: VersionChange,
}

/// What happened to a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionChange {
    /// It was made, empty.
    Create,
    /// It was made of another.
    Clone {
        /// The number of the other.
        from: u32,
    },
    /// Its comment was changed.
    Update {
        /// The comment before.
        old: String,
        /// The comment now.
        new: String,
    },
    /// It was locked.
    Lock,
    /// It was put to use.
    Activate(Environment),
    /// It was taken out of use.
    Deactivate(Environment),
}

impl VersionEvent {
    pub(super) fn kind(&self) -> &'static str {
        match self.what {
            VersionChange::Create => "version.create",
            VersionChange::Clone { .. } => "version.clone",
            VersionChange::Update { .. } => "version.update",
            VersionChange::Lock => "version.lock",
            VersionChange::Activate(_) => "version.activate",
            VersionChange::Deactivate(_) => "version.deactivate",
        }
    }

    pub(super) fn description(&self) -> String {
        let what = match self.what {
            VersionChange::Create => "created".to_owned(),
            VersionChange::Clone { from } => format!("cloned from version {from}"),
            VersionChange::Update { .. } => "updated".to_owned(),
            VersionChange::Lock => "locked".to_owned(),
            VersionChange::Activate(Environment::Production) => "activated".to_owned(),
            VersionChange::Activate(Environment::Staging) => "activated on staging".to_owned(),
            VersionChange::Deactivate(Environment::Production) => "deactivated".to_owned(),
            VersionChange::Deactivate(Environment::Staging) => "deactivated on staging".to_owned(),
        };
        format!("Version {} was {what}", self.number)
    }

    pub(super) fn metadata(&self) -> Value {
        let mut metadata = json!({ "version_number": self.number });
        match &self.what {
            VersionChange::Clone { from } => metadata["cloned_from"] = json!(from),
            VersionChange::Update { old, new } => {
                metadata["old"] = json!({ "comment": old });
                metadata["new"] = json!({ "comment": new });
            }
            VersionChange::Activate(Environment::Staging)
            | VersionChange::Deactivate(Environment::Staging) => {
                metadata["environment"] = json!("staging");
            }
            VersionChange::Create
            | VersionChange::Lock
            | VersionChange::Activate(Environment::Production)
            | VersionChange::Deactivate(Environment::Production) => {}
        }
        metadata
    }
}
