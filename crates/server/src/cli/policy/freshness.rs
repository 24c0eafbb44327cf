//! How freshness is shown, and what is warned of.

use std::time::Duration;

use keygate_model::{
    Freshness, Outage, Policy,
    policy::{Access, Api, Route},
};

/// What a route asks of a gate's knowledge, in words.
pub(super) fn words(freshness: Freshness) -> String {
    let most = freshness.max_staleness.map_or("the gate's lease".to_owned(), |most| written(most.duration()));
    match freshness.outage {
        Outage::Refuse => format!("{most}, then nobody"),
        Outage::AllowKnown(until) => {
            format!("{most}, then whoever is known until {}", written(until.duration()))
        }
    }
}

/// What an operator should know before they choose it.
pub(super) fn warning(policy: &Policy, route: &Route) -> Option<String> {
    let Outage::AllowKnown(until) = route.freshness().outage else { return None };
    let changes = match route.access {
        Access::Action(action) | Access::ActionIfAny(action) => !policy.reads().contains(action),
        Access::Public | Access::Unclassified => false,
    };
    let until = written(until.duration());
    let what = if changes { ", and it changes something" } else { "" };
    Some(format!(
        "warning: {}: a gate that is cut off lets revoked tokens in for up to {until}{what}; receipts wait as long",
        route.on
    ))
}

/// What there is to warn of in an API.
pub(super) fn warnings(policy: &Policy, api: &Api) -> Vec<String> {
    api.routes.all().iter().filter_map(|route| warning(policy, route)).collect()
}

fn written(length: Duration) -> String {
    match length.as_secs() {
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
