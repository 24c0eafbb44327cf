//! What happens to policies of protected APIs.

use serde_json::{Value, json};

use crate::id::PolicyId;

/// A policy was applied, changed or taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyEvent {
    /// Which.
    pub policy: PolicyId,
    /// What its operator calls it.
    pub name: String,
    /// What it says now. None: it was taken back.
    pub now: Option<Applied>,
}

/// What a policy says, in short; the whole of it is in its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The hosts it is about.
    pub hosts: Vec<String>,
    /// How many routes it names.
    pub routes: usize,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

impl PolicyEvent {
    pub(super) fn kind(&self) -> &'static str {
        if self.now.is_some() { "policy.apply" } else { "policy.remove" }
    }

    pub(super) fn description(&self) -> String {
        match &self.now {
            Some(now) => format!("Policy '{}' was applied: {} routes", self.name, now.routes),
            None => format!("Policy '{}' was taken back", self.name),
        }
    }

    pub(super) fn metadata(&self) -> Value {
        match &self.now {
            Some(now) => json!({
                "policy_id": self.policy, "name": self.name, "hosts": now.hosts, "routes": now.routes,
                "sha256": now.sha256,
            }),
            None => json!({ "policy_id": self.policy, "name": self.name }),
        }
    }
}
