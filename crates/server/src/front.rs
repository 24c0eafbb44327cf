//! What stands in front: everything that a question about a request needs, and nothing that needs the record. A node has it
//! and more ([`App`](crate::app::App)); a gate without a database has nothing else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::HeaderMap;
use keygate_authority::denial::Denials;
use keygate_gate::Gate;
use keygate_model::{Timestamp, token::Brand};

use crate::{
    behind::Bench,
    edge::{Clock, Rng},
    metrics::Metrics,
    request_id::{RequestId, RequestIds},
    stranded::Stranded,
};

/// Signs the claims of a JWT. None: it could not.
pub(crate) type Sign = Box<dyn Fn(&[u8]) -> Option<String> + Send + Sync>;

/// It.
pub struct Front {
    /// Decides.
    pub gate: Arc<Gate>,
    /// The one clock.
    pub clock: Clock,
    /// The one source of randomness.
    pub rng: Rng,
    /// The first part of secrets.
    pub brand: Brand,
    /// The address that clients see, if it is known.
    pub public_url: Option<String>,
    /// Tokens in use whose owners are gone.
    pub(crate) stranded: Stranded,
    /// What is counted.
    pub metrics: Metrics,
    /// Makes ids of refusals. None: refusals have none here.
    pub denials: Option<Denials>,
    /// Signs who asks. None: there is no key for it here.
    pub(crate) sign: Option<Sign>,
    pub(crate) bench: Bench,
    request_ids: RequestIds,
    stopping: AtomicBool,
    /// How far the machine's clock was from the node's when that was heard last, in microseconds.
    skew: AtomicU64,
}

/// How far clocks may be apart without a word about it.
const SKEW_MAX: Duration = Duration::from_secs(5);

impl Front {
    /// A front before this gate, without what comes from a key file.
    #[must_use]
    pub fn new(gate: Arc<Gate>, clock: Clock, rng: Rng, brand: Brand, public_url: Option<String>) -> Self {
        Self {
            gate,
            clock,
            brand,
            public_url,
            stranded: Stranded::default(),
            metrics: Metrics::default(),
            denials: None,
            sign: None,
            bench: Bench::default(),
            request_ids: RequestIds::new(rng.bytes().unwrap_or_default()),
            rng,
            stopping: AtomicBool::new(false),
            skew: AtomicU64::new(0),
        }
    }

    /// Takes the time that the node says it is.
    pub(crate) fn hear(&self, node: Timestamp) {
        let Some(skew) = self.clock.hear(node) else { return };
        let before = self.skew.swap(u64::try_from(skew.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if skew > SKEW_MAX && Duration::from_micros(before) <= SKEW_MAX {
            tracing::warn!(seconds = skew.as_secs_f64(), "this machine's clock and the node's are apart");
        }
    }

    /// How far the machine's clock was from the node's when that was heard last.
    pub(crate) fn skew(&self) -> Duration {
        Duration::from_micros(self.skew.load(Ordering::Relaxed))
    }

    /// Says that serving is about to end.
    pub(crate) fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether it is.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The id of a request: the one that it carries, or a new one.
    pub(crate) fn request_id<'h>(&self, headers: &'h HeaderMap) -> RequestId<'h> {
        self.request_ids.of(headers)
    }
}
