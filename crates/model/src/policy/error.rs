//! What can be wrong with a policy.

use super::compile::NAMES_MAX;
use crate::action::ACTIONS_MAX;

/// What is wrong with a policy file.
#[derive(Debug, thiserror::Error)]
pub enum BadPolicy {
    /// Not TOML, or a key that means nothing here.
    #[error("the policy cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A name that is none.
    #[error("{what} {name:?} is not a name: {rule}")]
    Name {
        /// Of what.
        what: &'static str,
        /// Which.
        name: String,
        /// What a name is.
        rule: &'static str,
    },
    /// A name is used that `[actions]` does not define.
    #[error("{place} names the action {name:?}, which stands not under [actions]")]
    UnknownAction {
        /// Where.
        place: String,
        /// Which.
        name: String,
    },
    /// An action of Keygate's own is missing.
    #[error("[actions] lacks {0:?}, which Keygate itself asks for")]
    MissingAction(&'static str),
    /// An action names another for machines that is none.
    #[error("the action {0:?} names {1:?} for machines, which stands not under [actions]")]
    UnknownMachineAction(String, String),
    /// A permission of the contract is missing.
    #[error("[permissions] lacks {0:?}")]
    MissingPermission(&'static str),
    /// A permission that the contract does not have.
    #[error(
        "[permissions] has {0:?}, and people can be given only full, read_only, purge_select and purge_all"
    )]
    UnknownPermission(String),
    /// More actions than a set holds.
    #[error("all policies together may have {ACTIONS_MAX} actions, and with this one they have {0}")]
    TooManyActions(usize),
    /// More scopes or roles than policies may have.
    #[error(
        "all policies together may have {NAMES_MAX} scopes and as many roles, and with this one they have {0}"
    )]
    TooManyNames(usize),
    /// A scope or role with nothing in it.
    #[error("{0} is empty, and an empty set grants nothing: name its actions, or \"*\"")]
    Empty(String),
    /// A host that is none, or not as policies write it.
    #[error("hosts has {0:?}: write a host name in small letters, without a port, as api.example.com")]
    Host(String),
    /// A policy of no host.
    #[error("hosts is empty: name the hosts of the API, as api.example.com")]
    NoHost,
    /// Two policies say what one host is.
    #[error("the host {host:?} is the policy {other:?}'s already")]
    HostTaken {
        /// Which.
        host: String,
        /// Whose it is.
        other: String,
    },
    /// Two policies have one name.
    #[error("there are two policies with the name {0:?}")]
    NameTaken(String),
    /// `customers` says something else than it may.
    #[error("customers is {0:?}: say \"all\", or give a list of customers' ids")]
    Customers(String),
    /// A list of customers with nobody in it.
    #[error("customers is empty: say \"all\", or give a list of customers' ids")]
    NoCustomer,
    /// What is said of freshness for a whole API does not go together.
    #[error("{0}")]
    Freshness(String),
    /// A case that cannot be asked.
    #[error("case {ask:?}: {why}")]
    Case {
        /// Which.
        ask: String,
        /// What is wrong.
        why: String,
    },
    /// A route that cannot be read.
    #[error("route {on:?}: {why}")]
    Route {
        /// Which.
        on: String,
        /// What is wrong.
        why: String,
    },
}
