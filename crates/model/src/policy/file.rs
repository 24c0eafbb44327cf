//! What a policy file may say. Keys that mean nothing are refused: a typo must not be a permission.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    pub(super) actions: BTreeMap<String, ActionLine>,
    pub(super) scopes: BTreeMap<String, Vec<String>>,
    pub(super) roles: BTreeMap<String, Vec<String>>,
    pub(super) permissions: BTreeMap<String, Vec<String>>,
    pub(super) routes: BTreeMap<String, RouteLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActionLine {
    #[serde(default)]
    pub(super) read: bool,
    #[serde(default)]
    pub(super) sudo: bool,
    #[serde(default)]
    pub(super) account: bool,
    #[serde(default)]
    pub(super) own: bool,
    #[serde(default)]
    pub(super) personal: bool,
    #[serde(default)]
    pub(super) explicit: bool,
    #[serde(default)]
    pub(super) anywhere: bool,
    #[serde(default)]
    pub(super) unenrolled: bool,
    #[serde(default)]
    pub(super) people: bool,
    #[serde(default)]
    pub(super) urgent: bool,
    #[serde(default)]
    pub(super) uncounted: bool,
    pub(super) machine: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteLine {
    pub(super) action: Option<String>,
    #[serde(default)]
    pub(super) public: bool,
    pub(super) credential: Option<Credential>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Credential {
    Optional,
}
