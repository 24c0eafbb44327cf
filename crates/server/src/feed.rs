//! The feed of this node, for gates elsewhere: what the gate of this process is told, they are told, in the same order.
//!
//! What changed is encoded once and kept in a ring of bounded size, and every follower reads along at its own pace. One that
//! is slower than the ring is cut and begins anew, so that nobody costs more memory than a frame. Nothing is encoded
//! before anybody has followed.

mod audience;
pub(crate) mod lease;
mod ring;
mod snapshot;
mod stream;
mod teller;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use keygate_gate::{
    Gate,
    wire::{BEAT_MS, Beat},
};
use keygate_model::{Batch, CustomerId, Policy, Position};
use tokio::sync::{Notify, watch};

use crate::app::App;
use snapshot::Snapshots;

pub use audience::View;
pub use ring::{Forgotten, Reader, Ring};
pub(crate) use stream::{Resume, stream};
pub use teller::Teller;

/// How often the whole replicas are compared, in beats: ten minutes.
const CHECK_EVERY_BEATS: u64 = 600;

/// How the feed is served.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Customers whose gates are told of all customers.
    #[serde(default)]
    pub operators: BTreeSet<CustomerId>,
    /// The canary, which has a section of its own in the configuration. None: there is none.
    #[serde(skip)]
    pub canary: Option<crate::canary::Settings>,
}

/// The feed.
pub struct Hub {
    teller: Teller,
    /// How many things were ever said; changes wake those who follow.
    said: watch::Sender<u64>,
    /// Something was told that no beat has confirmed yet.
    told: Notify,
    snapshots: Snapshots,
    settings: Settings,
    stopped: AtomicBool,
    followers: AtomicU64,
    cut: AtomicU64,
}

impl Hub {
    pub(crate) fn new(policy: Arc<Policy>, settings: Settings) -> Self {
        Self {
            teller: Teller::new(policy),
            said: watch::Sender::new(0),
            told: Notify::new(),
            snapshots: Snapshots::default(),
            settings,
            stopped: AtomicBool::new(false),
            followers: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        }
    }

    /// Tells the gate of this process and those who follow.
    pub(crate) fn tell(&self, gate: &Gate, batch: Batch) {
        self.teller.tell(gate, batch);
        self.say(self.ring());
        self.told.notify_one();
    }

    /// Says that nothing was left out, every second and after every change, for as long as it is polled.
    pub(crate) async fn keep_beating(&self, app: &Arc<App>) {
        let (mut beats, mut last) = (0_u64, None);
        loop {
            let second = Duration::from_millis(u64::from(BEAT_MS));
            let on_time = tokio::select! {
                () = tokio::time::sleep(second) => true,
                () = self.told.notified() => false,
            };
            let position = self.ring().last();
            if !self.ring().is_followed() || !app.gate.is_open() {
                continue;
            }
            let hash = match last {
                Some((at, hash)) if at == position => Ok(Some(hash)),
                _ => app.authority.hash_at(position).await,
            };
            let Ok(Some(hash)) = hash.inspect_err(|fault| tracing::warn!(error = %fault, "no heartbeat"))
            else {
                continue;
            };
            last = Some((position, hash));
            self.beat(Beat { position: position.0, hash: hash.to_vec() });
            beats += u64::from(on_time);
            if on_time && beats % CHECK_EVERY_BEATS == 0 {
                let app = Arc::clone(app);
                let check = tokio::task::spawn_blocking(move || app.feed.check(&app.gate));
                // It ends with the process, at the worst.
                let _ = check.await;
            }
        }
    }

    fn beat(&self, beat: Beat) {
        let mut ring = self.ring();
        // Else something was told meanwhile, and has asked for a beat of its own.
        if ring.last() == Position(beat.position) {
            ring.push_beat(&beat);
            self.say(ring);
        }
    }

    /// Says what the gate of this process comes to, for comparison.
    pub(crate) fn check(&self, gate: &Gate) {
        self.teller.check(gate);
        self.say(self.ring());
    }

    /// How often a canary sings.
    pub(crate) fn canary(&self) -> Option<crate::canary::Settings> {
        self.settings.canary
    }

    /// What the gates of a customer are told of.
    pub(crate) fn view(&self, customer: CustomerId) -> View {
        if self.settings.operators.contains(&customer) { View::All } else { View::Customer(customer) }
    }

    /// Ends every stream.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.said.send_modify(|_| {});
    }

    /// How many gates follow.
    pub(crate) fn followers(&self) -> u64 {
        self.followers.load(Ordering::Relaxed)
    }

    /// How many were cut because they were too slow.
    pub(crate) fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Wakes those who follow.
    fn say(&self, ring: MutexGuard<'_, Ring>) {
        let end = ring.end();
        drop(ring);
        self.said.send_replace(end);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.teller.ring()
    }
}
