//! How current what a decision is made from is, and how current it must be.
//!
//! A gate that follows an authority knows what was true when it last proved that it has heard everything. The law weighs the
//! age of that proof like everything else: what a route asks for is in its policy, what is known comes in with the ask.

use std::time::Duration;

use crate::time::Span;

/// What a route asks of the knowledge that it is decided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// How old the last proof may be. None: as old as the gate's lease lets it become.
    pub max_staleness: Option<Span>,
    /// What it means when it is older.
    pub outage: Outage,
}

/// What it means that nothing proves any more that all is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outage {
    /// Nobody passes.
    #[default]
    Refuse,
    /// Who would have passed then passes still, until the last proof is as old as this. An operator's choice: a token that
    /// has been revoked meanwhile passes too.
    AllowKnown(Span),
}

/// The longest `max_staleness`.
pub const STALENESS_MAX: Span = Span::seconds::<300>();

/// The longest `outage_max`.
pub const OUTAGE_MAX: Span = Span::seconds::<3_600>();

/// How current the one who decides is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// As current as can be: what it holds is the record's own.
    Current,
    /// This long ago it was proved that it had heard everything.
    Proved {
        /// How long ago; counted from before the proof was asked for.
        age: Duration,
        /// How old that may become, unless a route says otherwise.
        lease: Span,
        /// How old it may become at most, whatever a route says: receipts count on it.
        longest: Duration,
    },
    /// It has never been proved, or too long ago for any route.
    Lapsed,
}

/// What knowledge is worth to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It serves.
    Fresh,
    /// It serves to let in whoever it names, and for nothing else. Its age.
    Stale(Duration),
    /// It does not serve.
    None,
}

impl Freshness {
    /// How old the last proof may be where it lets anybody in at all. None: as old as the lease lets it.
    #[must_use]
    pub fn longest(self) -> Option<Span> {
        match self.outage {
            Outage::Refuse => self.max_staleness,
            Outage::AllowKnown(most) => self.max_staleness.max(Some(most)),
        }
    }

    /// What knowledge is worth here. One boundary: it serves while its age is less than the bound.
    #[must_use]
    pub fn weigh(self, knowledge: Knowledge) -> Worth {
        let (age, lease, longest) = match knowledge {
            Knowledge::Current => return Worth::Fresh,
            Knowledge::Lapsed => return Worth::None,
            Knowledge::Proved { age, lease, longest } => (age, lease, longest),
        };
        let bound = self.max_staleness.unwrap_or(lease).duration().min(longest);
        match self.outage {
            _ if age < bound => Worth::Fresh,
            Outage::AllowKnown(most) if age < most.duration().min(longest) => Worth::Stale(age),
            _ => Worth::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(many: u64) -> Span {
        Span::of(Duration::from_secs(many)).expect("not zero")
    }

    fn proved(age: u64, longest: u64) -> Knowledge {
        let (age, longest) = (Duration::from_secs(age), Duration::from_secs(longest));
        Knowledge::Proved { age, lease: seconds(30), longest }
    }

    #[test]
    fn the_lease_is_the_bound_where_a_route_names_none() {
        let plain = Freshness::default();
        assert_eq!(plain.weigh(proved(29, 30)), Worth::Fresh);
        assert_eq!(plain.weigh(proved(30, 30)), Worth::None);
        assert_eq!(plain.weigh(proved(30, 600)), Worth::None, "what was granted is not what was asked for");
        assert_eq!(plain.weigh(Knowledge::Current), Worth::Fresh);
        assert_eq!(plain.weigh(Knowledge::Lapsed), Worth::None);
    }

    #[test]
    fn a_route_may_be_stricter_and_laxer() {
        let strict = Freshness { max_staleness: Some(seconds(5)), outage: Outage::Refuse };
        assert_eq!(strict.weigh(proved(4, 30)), Worth::Fresh);
        assert_eq!(strict.weigh(proved(5, 30)), Worth::None);
        let lax = Freshness { max_staleness: Some(seconds(120)), outage: Outage::Refuse };
        assert_eq!(lax.weigh(proved(119, 120)), Worth::Fresh);
        assert_eq!(lax.weigh(proved(31, 30)), Worth::None, "not beyond what was granted");
    }

    #[test]
    fn an_outage_that_is_allowed_ends() {
        let known = Freshness { max_staleness: None, outage: Outage::AllowKnown(seconds(600)) };
        assert_eq!(known.weigh(proved(29, 600)), Worth::Fresh);
        assert_eq!(known.weigh(proved(30, 600)), Worth::Stale(Duration::from_secs(30)));
        assert_eq!(known.weigh(proved(599, 600)), Worth::Stale(Duration::from_secs(599)));
        assert_eq!(known.weigh(proved(600, 900)), Worth::None);
        assert_eq!(known.weigh(proved(300, 300)), Worth::None, "not beyond what was granted");
    }

    proptest! {
        /// Receipts count on it: nothing is let in by a proof that is older than was granted, or than the route says.
        #[test]
        fn nothing_serves_beyond_its_bounds(
            age in 0..4_000_u64, lease in 1..60_u64, longest in 0..4_000_u64,
            staleness in proptest::option::of(1..300_u64), most in proptest::option::of(1..3_600_u64),
        ) {
            let outage = most.map_or(Outage::Refuse, |most| Outage::AllowKnown(seconds(most)));
            let freshness = Freshness { max_staleness: staleness.map(seconds), outage };
            let knowledge = Knowledge::Proved {
                age: Duration::from_secs(age), lease: seconds(lease), longest: Duration::from_secs(longest),
            };
            let serves = freshness.weigh(knowledge) != Worth::None;
            let bound = freshness.longest().unwrap_or(seconds(lease)).max(seconds(lease)).duration();
            prop_assert!(!serves || age < longest && Duration::from_secs(age) < bound);
            prop_assert_eq!(serves, {
                let first = staleness.unwrap_or(lease);
                age < longest && (age < first || most.is_some_and(|most| age < most))
            });
        }
    }
}
