//! What a policy file may say. Keys that mean nothing are refused: a typo must not be a permission.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::freshness::{FreshnessLine, MaxStaleness, OutageMax, OutageWord};
use crate::id::CustomerId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    pub(super) actions: BTreeMap<String, ActionLine>,
    pub(super) scopes: BTreeMap<String, Vec<String>>,
    pub(super) roles: BTreeMap<String, Vec<String>>,
    pub(super) permissions: BTreeMap<String, Vec<String>>,
    pub(super) routes: BTreeMap<String, RouteLine>,
}

/// The policy of a protected API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiFile {
    pub(super) name: String,
    pub(super) hosts: Vec<String>,
    pub(super) customers: CustomersLine,
    pub(super) identity: Option<IdentityLine>,
    pub(super) max_staleness: Option<MaxStaleness>,
    pub(super) outage: Option<OutageWord>,
    pub(super) outage_max: Option<OutageMax>,
    #[serde(default)]
    pub(super) actions: BTreeMap<String, ApiActionLine>,
    #[serde(default)]
    pub(super) scopes: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) roles: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) routes: BTreeMap<String, RouteLine>,
    #[serde(default)]
    pub(super) cases: Vec<CaseLine>,
}

/// Whose tokens are good there: `"all"`, or a list of ids. Not saying it is a mistake.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum CustomersLine {
    Word(String),
    These(Vec<CustomerId>),
}

/// How it is told who asks, beside the headers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityLine {
    pub(super) jwt: bool,
    pub(super) audience: Option<Audience>,
    #[serde(default)]
    pub(super) lifetime_seconds: Lifetime,
}

/// What a JWT may name as its audience.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Audience(pub(super) String);

impl TryFrom<String> for Audience {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_right = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_right.then_some(Self(text)).ok_or("an audience is 1 to 255 visible ASCII characters, no spaces")
    }
}

/// How long a JWT is good.
#[derive(Deserialize)]
#[serde(try_from = "i64")]
pub(super) struct Lifetime(pub(super) u16);

impl Default for Lifetime {
    fn default() -> Self {
        Self(60)
    }
}

impl TryFrom<i64> for Lifetime {
    type Error = &'static str;

    fn try_from(seconds: i64) -> Result<Self, Self::Error> {
        let seconds = u16::try_from(seconds).ok().filter(|seconds| (10..=300).contains(seconds));
        seconds.map(Self).ok_or("a JWT is good for 10 to 300 seconds")
    }
}

/// What may be said of an action of a protected API.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ApiActionLine {
    pub(super) read: bool,
    pub(super) sudo: bool,
    pub(super) people: bool,
    pub(super) explicit: bool,
    pub(super) personal: bool,
    pub(super) account: bool,
    pub(super) common: bool,
    pub(super) anywhere: bool,
}

/// One ask that must be answered so.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseLine {
    pub(super) ask: String,
    #[serde(default)]
    pub(super) host: Option<String>,
    #[serde(default)]
    pub(super) scope: Option<String>,
    #[serde(default)]
    pub(super) role: Option<String>,
    /// The services that the token is limited to, as they stand in paths.
    #[serde(default)]
    pub(super) services: Option<Vec<String>>,
    /// Whether sudo lasts on the token.
    #[serde(default)]
    pub(super) sudo: bool,
    /// Whether it is a machine's.
    #[serde(default)]
    pub(super) automation: bool,
    pub(super) expect: String,
}

#[derive(Default, Deserialize)]
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
    /// Also for whoever is limited to services, where the route names none. Keygate's own handlers see to that
    /// themselves.
    #[serde(skip)]
    pub(super) placed: bool,
}

impl From<ApiActionLine> for ActionLine {
    fn from(line: ApiActionLine) -> Self {
        let ApiActionLine { read, sudo, people, explicit, personal, account, common, anywhere } = line;
        let placed = !common;
        Self { read, sudo, people, explicit, personal, account, anywhere, placed, ..Self::default() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteLine {
    pub(super) action: Option<String>,
    #[serde(default)]
    pub(super) public: bool,
    pub(super) credential: Option<Credential>,
    #[serde(default)]
    pub(super) unclassified: bool,
    /// Which parameter is the service's id; `service` unless said.
    pub(super) service: Option<String>,
    /// What else its paths may hold.
    #[serde(default)]
    pub(super) allow: Vec<Leniency>,
    pub(super) max_staleness: Option<MaxStaleness>,
    pub(super) outage: Option<OutageWord>,
    pub(super) outage_max: Option<OutageMax>,
}

impl ApiFile {
    pub(super) fn freshness(&self) -> FreshnessLine {
        let Self { max_staleness, outage, outage_max, .. } = *self;
        FreshnessLine { max_staleness, outage, outage_max }
    }
}

impl RouteLine {
    pub(super) fn freshness(&self) -> FreshnessLine {
        let Self { max_staleness, outage, outage_max, .. } = *self;
        FreshnessLine { max_staleness, outage, outage_max }
    }
}

/// What one server reads in one way and another in two.
#[derive(Clone, Copy, Deserialize)]
pub(super) enum Leniency {
    #[serde(rename = "%2f", alias = "%2F")]
    Slash,
    #[serde(rename = ";")]
    Semicolon,
    #[serde(rename = "%25")]
    Percent,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Credential {
    Optional,
}
