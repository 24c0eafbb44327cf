//! Settings of a server: flag before environment before file before default.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use anyhow::Context as _;
use keygate_gate::Lease;
use keygate_model::{Networks, Policy, Span, policy::OWN_POLICY};
use serde::Deserialize;

use crate::{quota::Limits, ways::Way};

/// What a configuration file may say. Keys that mean nothing are refused: a typo must not be a default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// The database, `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    pub db: Option<String>,
    /// The key file; beside the database unless said.
    pub key_file: Option<PathBuf>,
    /// A policy in the place of Keygate's own.
    pub policy: Option<PathBuf>,
    /// The address that clients see, for links in answers.
    pub public_url: Option<String>,
    /// The first part of secrets, `kg` unless said.
    pub token_prefix: Option<String>,
    /// Threads that serve; as many as there are cores unless said.
    pub workers: Option<usize>,
    /// A file to which one-time links are appended, for whoever sends them.
    pub outbox: Option<PathBuf>,
    /// How many days back `GET /events` shows (365). What is older stays in the log and its chain.
    pub event_retention_days: Option<u32>,
    /// Proxies before Keygate's own API, whose `X-Forwarded-For` is believed: networks, with commas between.
    pub trusted_proxies: Option<Networks>,
    /// Where proxies ask what they may let pass.
    #[serde(default, rename = "way")]
    pub ways: Vec<WayLine>,
    /// Health and counters at an address of their own.
    #[serde(default)]
    pub admin: Admin,
    /// This process among others.
    #[serde(default)]
    pub node: Node,
    /// Failed logins.
    #[serde(default)]
    pub login: Login,
    /// Requests an hour that change something.
    #[serde(default)]
    pub quota: Limits,
    /// The feed for gates elsewhere.
    #[serde(default)]
    pub feed: crate::feed::Settings,
    /// The canary, by which it is measured how long a revoke takes.
    #[serde(default)]
    pub canary: crate::canary::Settings,
}

/// A way in, and where it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WayLine {
    /// The proxy family: `nginx`, `traefik`, `caddy`, `haproxy`, `envoy`, `envoy-grpc`.
    pub kind: Way,
    /// `ADDRESS:PORT`, or `unix:PATH`, or `unix:PATH?mode=0660`. Several may share one.
    pub listen: Listen,
    /// The proxies that may ask there: networks, with commas between; this machine unless said. Who may open a socket in
    /// the file system may ask there.
    pub trusted: Option<Networks>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At an address.
    Tcp(SocketAddr),
    /// At a path, with these rights; without any, with those that the process gives to what it makes.
    Unix(PathBuf, Option<u32>),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, mode) = match text.strip_prefix("unix:").map(|path| path.split_once("?mode=")) {
            Some(Some((path, mode))) => (Some(path), Some(rights(mode)?)),
            Some(None) => (text.strip_prefix("unix:"), None),
            None => (None, None),
        };
        match path {
            Some(path) if !path.is_empty() => Ok(Self::Unix(path.into(), mode)),
            _ => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| format!("{text:?} is no address: write ADDRESS:PORT or unix:PATH")),
        }
    }
}

/// Rights as `chmod` has them, three octal digits with a zero before them or not.
fn rights(mode: &str) -> Result<u32, String> {
    let digits = mode.len() == 3 || mode.len() == 4 && mode.starts_with('0');
    let mode = u32::from_str_radix(mode, 8).ok().filter(|_| digits);
    mode.ok_or_else(|| "the mode of a socket is octal, like ?mode=0660".to_owned())
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `KIND=ADDRESS:PORT` or `KIND=unix:PATH`, as the command line has it.
impl FromStr for WayLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, listen) = text.split_once('=').ok_or("write it as nginx=127.0.0.1:8081")?;
        Ok(Self { kind: kind.parse()?, listen: listen.parse()?, trusted: None })
    }
}

/// Health and counters, for those who watch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// `ADDRESS:PORT`, or `unix:PATH`. Whoever can connect there is answered.
    pub listen: Option<Listen>,
}

/// This process among the nodes and gates of a record.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// What it is called in receipts and lists; the machine's name unless said.
    pub name: Option<String>,
    /// Seconds that a gate goes on answering without a proof that it knows everything (30), 1 to 3600.
    pub lease_seconds: Option<u64>,
    /// Where it remembers how far the record had come; a file beside the key unless said.
    pub seen: Option<PathBuf>,
}

impl Node {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        let machine = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(machine)
    }

    /// How long a lease is.
    ///
    /// # Errors
    /// None, or one that is longer than anybody would wait for.
    pub fn lease(&self) -> anyhow::Result<Span> {
        let Some(seconds) = self.lease_seconds else { return Ok(Lease::DEFAULT) };
        let lease = Span::of(Duration::from_secs(seconds)).filter(|_| seconds <= 3600);
        lease.context("lease_seconds in [node] must be 1 to 3600")
    }
}

/// Limits on failed logins.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Failures that a login may have at once (10).
    pub failures_burst: Option<u32>,
    /// Seconds after which one of them is forgiven (60).
    pub failure_forgiven_seconds: Option<u64>,
}

/// How many days back events are shown if nobody says (CONTRACT §14).
pub const EVENT_RETENTION_DAYS: u32 = 365;

impl File {
    /// Reads the file, or nothing if none is named.
    ///
    /// # Errors
    /// Says which file, which line, and what is wrong with it.
    pub fn read(path: Option<&PathBuf>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("The configuration file {} cannot be read", path.display()))?;
        toml::from_str(&text)
            .with_context(|| format!("The configuration file {} is not right", path.display()))
    }

    /// The limits on failed logins.
    #[must_use]
    pub fn login_limits(&self) -> keygate_authority::login::LoginLimits {
        let default = keygate_authority::login::LoginLimits::default();
        keygate_authority::login::LoginLimits {
            burst: self.login.failures_burst.unwrap_or(default.burst).max(1),
            refill: self.login.failure_forgiven_seconds.map_or(default.refill, Duration::from_secs),
        }
    }
}

/// The policy in this file, or Keygate's own.
///
/// # Errors
/// Says which file, and what is wrong with it.
pub fn policy(path: Option<&PathBuf>) -> anyhow::Result<Policy> {
    let Some(path) = path else { return Ok(Policy::compile(OWN_POLICY)?) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("The policy file {} cannot be read", path.display()))?;
    Policy::compile(&text).with_context(|| format!("The policy file {} is not right", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_may_say_who_may_open_it() {
        let unix = |path: &str, mode| Ok(Listen::Unix(path.into(), mode));
        assert_eq!("unix:/run/a".parse::<Listen>(), unix("/run/a", None));
        assert_eq!("unix:/run/a?mode=0660".parse::<Listen>(), unix("/run/a", Some(0o660)));
        assert_eq!("unix:/run/a?mode=600".parse::<Listen>(), unix("/run/a", Some(0o600)));
        for odd in [
            "unix:",
            "unix:?mode=0660",
            "unix:/a?mode=",
            "unix:/a?mode=0888",
            "unix:/a?mode=rw",
            "unix:/a?mode=01777",
        ] {
            assert!(odd.parse::<Listen>().is_err(), "{odd}");
        }
    }

    #[test]
    fn a_quota_is_a_number_that_lets_something_through() {
        let quota = |text: &str| {
            toml::from_str::<File>(text).map(|file| (file.quota.per_token.get(), file.quota.per_person.get()))
        };
        assert_eq!(quota("").unwrap(), (1000, 1000));
        assert_eq!(quota("[quota]\nper_token = 5").unwrap(), (5, 1000));
        assert_eq!(quota("[quota]\nper_person = 20000").unwrap(), (1000, 20_000));
        for odd in ["per_tokens = 5", "per_token = 0", "per_token = -1", "per_token = \"many\""] {
            assert!(quota(&format!("[quota]\n{odd}")).is_err(), "{odd}");
        }
    }
}
