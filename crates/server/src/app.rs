//! The application: the rooms, tied together. Production and tests build the same one; only the edges differ.

use std::{net::IpAddr, ops::Deref, sync::Arc, time::Duration};

use data_encoding::HEXLOWER;
use keygate_authority::{Authority, Fault, Origin, Settings, usage};
use keygate_gate::{
    Gate,
    lease::{Lease, uptime},
};
use keygate_model::{
    CustomerId, ServiceId, Span, Timestamp, UserId,
    token::{Brand, Kind},
};
use keygate_purge::Purger;

use crate::{
    canary::Canary,
    edge::{Clock, NoEntropy, Rng},
    enforce::Enforcer,
    feed::{self, Hub},
    front::Front,
    outbox::Outbox,
    quota::{Limits, Quota},
};

/// How often marks of use are written, and how many at a time: a little and often, so that writing them never shows.
/// They may lag a minute (DESIGN §6).
const MARKS_EVERY: Duration = Duration::from_secs(1);
const MARKS_AT_A_TIME: usize = 2000;

/// How many explanations of an unknown token may look into the database in a second.
const EXPLANATIONS_A_SECOND: u32 = 50;

/// Everything a handler may need.
pub struct App {
    /// Decides, and what that needs.
    pub front: Arc<Front>,
    /// Changes things.
    pub authority: Arc<Authority>,
    /// Purges.
    pub purger: Purger,
    /// Where one-time links go.
    pub outbox: Outbox,
    /// How many days back events are shown.
    pub event_retention_days: u32,
    /// How many changes an hour are left to whom.
    pub quota: Quota,
    /// Explanations of unknown tokens: when the next is due, in microseconds (GCRA).
    explained: std::sync::atomic::AtomicI64,
    /// Tells gates elsewhere.
    pub(crate) feed: Arc<Hub>,
    /// What this node is called among others.
    pub(crate) node: String,
    /// Knows what is enforced where.
    pub enforcer: Enforcer,
    /// Measures how long a revoke takes.
    pub(crate) canary: Canary,
}

impl Deref for App {
    type Target = Front;

    fn deref(&self) -> &Front {
        &self.front
    }
}

/// What an app is built with.
pub struct Parts {
    /// How to open the authority.
    pub settings: Settings,
    /// The clock.
    pub clock: Clock,
    /// The randomness.
    pub rng: Rng,
    /// The first part of secrets.
    pub brand: Brand,
    /// The address that clients see.
    pub public_url: Option<String>,
    /// Where one-time links go.
    pub outbox: Outbox,
    /// How many days back events are shown.
    pub event_retention_days: u32,
    /// The hourly quota.
    pub quota: Limits,
    /// What this node is called in receipts.
    pub name: String,
    /// How long a gate may go on answering that hears nothing.
    pub lease: Span,
    /// Whether another process may be the one that changes the record: then this one's gate needs a lease.
    pub is_beside: bool,
    /// How the feed is served.
    pub feed: feed::Settings,
}

impl App {
    /// Opens the authority, fills the gate, and opens it.
    ///
    /// # Errors
    /// What [`Authority::open`] says.
    pub fn open(parts: Parts) -> Result<Arc<Self>, Fault> {
        // Where others write too, what this process has heard may be old.
        let needs_lease = parts.settings.db.is_shared() || parts.is_beside;
        let lease = if needs_lease { Lease::of(parts.lease, uptime) } else { Lease::none() };
        let gate = Arc::new(Gate::new(Arc::clone(&parts.settings.policy), 0).with_lease(lease));
        let feed = Arc::new(Hub::new(Arc::clone(&parts.settings.policy), parts.feed));
        let (fed, told) = (Arc::clone(&gate), Arc::clone(&feed));
        let authority =
            Arc::new(Authority::open(parts.settings, Box::new(move |batch| told.tell(&fed, batch)))?);
        gate.open();
        let node = parts.rng.bytes::<8>().map_or_else(|_| String::new(), |id| HEXLOWER.encode(&id));
        let epoch = authority.epoch();
        let session = parts.rng.bytes().map_err(|_| Fault::Unavailable)?;
        let mut front = Front::new(gate, parts.clock, parts.rng, parts.brand, parts.public_url);
        front.denials = Some(authority.denials());
        let signing = Arc::clone(&authority);
        front.sign = Some(Box::new(move |claims| signing.signer().sign(claims)));
        Ok(Arc::new(Self {
            front: Arc::new(front),
            authority,
            purger: Purger::default(),
            outbox: parts.outbox,
            event_retention_days: parts.event_retention_days,
            quota: Quota::new(parts.quota),
            feed,
            node,
            explained: std::sync::atomic::AtomicI64::new(0),
            enforcer: Enforcer::new(needs_lease, parts.lease, session, parts.name, epoch),
            canary: Canary::default(),
        }))
    }

    /// A fresh id and secret for a token of this kind.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn mint(&self, kind: Kind) -> Result<keygate_authority::token::Minted, NoEntropy> {
        let entropy = zeroize::Zeroizing::new(self.rng.bytes::<32>()?);
        Ok(keygate_authority::token::Minted::new(&self.brand, kind, self.rng.bytes()?, &entropy))
    }

    /// A fresh id of a customer.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn customer_id(&self) -> Result<CustomerId, NoEntropy> {
        self.rng.bytes().map(CustomerId::from_bytes)
    }

    /// A fresh id of a user.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn user_id(&self) -> Result<UserId, NoEntropy> {
        self.rng.bytes().map(UserId::from_bytes)
    }

    /// A fresh id of a service.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn service_id(&self) -> Result<ServiceId, NoEntropy> {
        self.rng.bytes().map(ServiceId::from_bytes)
    }

    /// The command line, now.
    pub fn local_origin(&self) -> Origin {
        Origin::local(self.clock.now())
    }

    /// Says that serving is about to end.
    pub(crate) fn begin_to_stop(&self) {
        self.front.begin_to_stop();
        self.feed.stop();
    }

    async fn write_marks(&self, most: usize) {
        let marks: Vec<_> = self.gate.take_marks(most).into_iter().map(stored_mark).collect();
        if !marks.is_empty()
            && let Err(fault) = self.authority.mark(marks).await
        {
            tracing::warn!(error = %fault, "marks of use could not be written and are lost");
        }
    }

    /// Writes the marks of use that wait, before they are shown; if they cannot be written, what is shown is older.
    pub(crate) async fn settle_marks(&self) {
        self.write_marks(usize::MAX).await;
    }

    /// Commits heartbeats for as long as it is polled.
    pub async fn keep_beating(&self) {
        self.enforcer.keep_beating(self).await;
    }

    /// Flushes marks for as long as it is polled.
    pub async fn keep_flushing(&self) {
        loop {
            tokio::time::sleep(MARKS_EVERY).await;
            self.write_marks(MARKS_AT_A_TIME).await;
            self.tell_stranded().await;
        }
    }

    /// Tells of tokens in use whose owners are gone.
    async fn tell_stranded(&self) {
        for (digest, origin) in self.stranded.take() {
            if let Err(fault) = self.authority.note_owner_disabled(&origin, digest).await {
                tracing::warn!(error = %fault, "the use of a token whose owner is gone could not be told");
            }
        }
    }

    /// Whether one more unknown token may be looked up in the database, to tell its holder that it was revoked.
    pub fn may_explain(&self, now: Timestamp) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        let cost = i64::from(1_000_000 / EXPLANATIONS_A_SECOND);
        let due = |due: i64| {
            let due = due.max(now.micros());
            (due - now.micros() < 1_000_000).then_some(due + cost)
        };
        self.explained.fetch_update(Relaxed, Relaxed, due).is_ok()
    }
}

fn stored_mark(mark: keygate_gate::Mark) -> usage::Mark {
    let user_agent = mark.user_agent.into_string();
    usage::Mark { token: mark.token, at: mark.at, ip: mark.ip.map_or_else(String::new, text_of), user_agent }
}

/// An address as people write it: IPv4 also where it came in through an IPv6 socket.
pub(crate) fn text_of(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}
