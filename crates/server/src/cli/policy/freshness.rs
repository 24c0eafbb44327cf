//! How freshness is shown, and what is warned of.

use std::time::Duration;

use keygate_model::{
    Freshness, Outage, Policy,
    policy::{Access, Api, Route},
};

/// What a route asks of a gate's knowledge, in words.
pub(super) fn words(freshness: Freshness) -> String {
    let most = match freshness.max_staleness {
        Some(most) => format!("{} old", written(most.duration())),
        None => "as old as the gate's lease lets it".to_owned(),
    };
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

#[cfg(test)]
mod tests {
    use keygate_model::policy::{ApiSource, OWN_POLICY};

    use super::*;

    #[test]
    fn what_lets_revoked_tokens_in_is_warned_of() {
        let text = r#"
            name = "shop"
            hosts = ["shop.example.com"]
            customers = "all"
            max_staleness = "5s"
            [actions]
            "order:read" = { read = true }
            "order:write" = {}
            [routes]
            "GET /a" = { action = "order:read" }
            "GET /b" = { action = "order:read", outage = "allow-known", outage_max = "10m" }
            "POST /c" = { action = "order:write", outage = "allow-known", outage_max = "90s" }
        "#;
        let own = Policy::compile(OWN_POLICY).expect("ours");
        let policy = own.with(&[ApiSource { text: Some(text), retired: &[] }]).expect("a policy");
        let api = &policy.apis()[0];
        let mut said: Vec<_> = api.routes.all().iter().map(|route| words(route.freshness())).collect();
        said.extend(warnings(&policy, api));
        assert_eq!(
            said,
            [
                "5s old, then nobody",
                "5s old, then whoever is known until 10m",
                "5s old, then whoever is known until 90s",
                "warning: GET /b: a gate that is cut off lets revoked tokens in for up to 10m; receipts wait as long",
                "warning: POST /c: a gate that is cut off lets revoked tokens in for up to 90s, and it changes \
                 something; receipts wait as long",
            ]
        );
        assert_eq!(words(Freshness::default()), "as old as the gate's lease lets it, then nobody");
    }
}
