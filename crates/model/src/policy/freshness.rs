//! What policies say about freshness, for a whole API and for single routes.

use std::time::Duration;

use serde::Deserialize;

use super::{Api, Policy, Route};
use crate::{
    freshness::{Freshness, OUTAGE_MAX, Outage, STALENESS_MAX},
    host::Host,
    time::Span,
};

/// What may be said about freshness. What is not said is as it is for the whole API.
#[derive(Clone, Copy, Default)]
pub(super) struct FreshnessLine {
    pub(super) max_staleness: Option<MaxStaleness>,
    pub(super) outage: Option<OutageWord>,
    pub(super) outage_max: Option<OutageMax>,
}

/// How old the last proof may be.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct MaxStaleness(Span);

/// Until when an outage lets in whoever is known.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct OutageMax(Span);

/// What an outage means.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OutageWord {
    Refuse,
    AllowKnown,
}

/// Below, a gate would refuse between two heartbeats.
const SPAN_MIN: Duration = Duration::from_secs(1);

impl TryFrom<String> for MaxStaleness {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        span(&text, STALENESS_MAX).map(Self)
    }
}

impl TryFrom<String> for OutageMax {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        span(&text, OUTAGE_MAX).map(Self)
    }
}

/// A number with `s`, `m` or `h`.
fn span(text: &str, most: Span) -> Result<Span, String> {
    let most = most.duration();
    let rule = || format!("write it as 1s to {}m: a whole number with s, m or h", most.as_secs() / 60);
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(rule)?;
    let each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(rule()),
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_plain).ok_or_else(rule)?;
    let length = Duration::from_secs(number.saturating_mul(each));
    Span::of(length).filter(|_| (SPAN_MIN..=most).contains(&length)).ok_or_else(rule)
}

impl FreshnessLine {
    pub(super) fn says_something(self) -> bool {
        self.max_staleness.is_some() || self.outage.is_some() || self.outage_max.is_some()
    }

    /// What it comes to, where this holds of what it does not say.
    pub(super) fn over(self, whole: Freshness) -> Result<Freshness, String> {
        let max_staleness = self.max_staleness.map(|MaxStaleness(most)| most).or(whole.max_staleness);
        let most = self.outage_max.map(|OutageMax(most)| most);
        let outage = match (self.outage, most, whole.outage) {
            (None, None, inherited) => inherited,
            (Some(OutageWord::Refuse), None, _) => Outage::Refuse,
            (Some(OutageWord::AllowKnown), Some(most), _) | (None, Some(most), Outage::AllowKnown(_)) => {
                Outage::AllowKnown(most)
            }
            (Some(OutageWord::AllowKnown), None, Outage::AllowKnown(most)) => Outage::AllowKnown(most),
            (Some(OutageWord::AllowKnown), None, Outage::Refuse) => {
                return Err("outage = \"allow-known\" needs an end: say outage_max, as \"10m\"".to_owned());
            }
            (Some(OutageWord::Refuse) | None, Some(_), _) => {
                return Err("outage_max is for outage = \"allow-known\"".to_owned());
            }
        };
        if let (Outage::AllowKnown(most), Some(least)) = (outage, max_staleness)
            && most <= least
        {
            return Err("outage_max is no longer than max_staleness, and so means nothing".to_owned());
        }
        Ok(Freshness { max_staleness, outage })
    }
}

impl Policy {
    /// What is asked of knowledge at a host where no route matches.
    #[must_use]
    pub fn freshness_at(&self, host: &Host<'_>) -> Freshness {
        self.api_at(host).map_or(Freshness::default(), |api| api.freshness)
    }

    /// How old the last proof may be where any route lets anybody in: for that long a gate may have to be waited for. None:
    /// no longer than its lease.
    #[must_use]
    pub fn longest_staleness(&self) -> Option<Span> {
        self.apis().iter().filter_map(Api::longest_staleness).max()
    }
}

impl Api {
    /// The same of this API.
    #[must_use]
    pub fn longest_staleness(&self) -> Option<Span> {
        let routes = self.routes.all().iter().map(Route::freshness);
        routes.chain([self.freshness]).filter_map(Freshness::longest).max()
    }
}

#[cfg(test)]
mod tests;
