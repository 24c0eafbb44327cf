//! What is counted, for `GET /metrics`: one atomic a decision, and nothing of whom.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use std::{collections::BTreeMap, fmt::Write as _};

use keygate_model::Verdict;

/// The counters.
#[derive(Default)]
pub struct Metrics {
    allowed: AtomicU64,
    denied: AtomicU64,
    unsure: AtomicU64,
    /// Refusals by their code. Counted after the decision, off the authorise path of the forward-auth door.
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    purge_misses: AtomicU64,
}

impl Metrics {
    /// Counts a decision.
    pub(crate) fn decided(&self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Allow(_) => &self.allowed,
            Verdict::Deny(_) => &self.denied,
            Verdict::CannotTell(_) => &self.unsure,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refusal by its code.
    pub(crate) fn refused(&self, code: &'static str) {
        *self.refusals.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    /// Counts a cache node that did not purge.
    pub(crate) fn purge_missed(&self) {
        self.purge_misses.fetch_add(1, Ordering::Relaxed);
    }

    /// The Prometheus text format.
    pub(crate) fn text(&self, gate: &keygate_gate::Gate, stranded: u64) -> String {
        let (tokens, table_bytes) = gate.size();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = format!(
            "# TYPE keygate_authz_requests_total counter\n\
             keygate_authz_requests_total{{decision=\"allow\"}} {}\n\
             keygate_authz_requests_total{{decision=\"deny\"}} {}\n\
             keygate_authz_requests_total{{decision=\"cannot_tell\"}} {}\n\
             # TYPE keygate_tokens gauge\nkeygate_tokens {tokens}\n\
             # TYPE keygate_replica_table_bytes gauge\nkeygate_replica_table_bytes {table_bytes}\n\
             # TYPE keygate_replica_applied_position gauge\nkeygate_replica_applied_position {}\n\
             # TYPE keygate_usage_marks_lost_total counter\nkeygate_usage_marks_lost_total {}\n\
             # TYPE keygate_purge_misses_total counter\nkeygate_purge_misses_total {}\n\
             # TYPE keygate_owner_disabled_total counter\nkeygate_owner_disabled_total {stranded}\n\
             # TYPE keygate_rate_limited_total counter\nkeygate_rate_limited_total {}\n\
             # TYPE keygate_refusals_total counter\n",
            load(&self.allowed),
            load(&self.denied),
            load(&self.unsure),
            gate.position().0,
            gate.lost_marks(),
            load(&self.purge_misses),
            refusals.get("rate_limited").unwrap_or(&0),
        );
        for (code, count) in refusals.iter() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "keygate_refusals_total{{code=\"{code}\"}} {count}");
        }
        text
    }
}
