//! The canary: now and then a token is made that can do nothing, is decided about at every gate, and is revoked, and how long
//! each gate took to refuse it is a number that somebody watches (docs/decisions/canary.md).

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keygate_authority::Fault;
use keygate_gate::lease::uptime;
use keygate_model::{
    Action, Circumstances, Digest, Position, Uptime, Verdict, Want,
    enforce::{Enforcement, How, Line, Session},
    token::Kind,
};
use tokio::{sync::Notify, time::timeout};

use crate::{app::App, edge::NoEntropy};

/// How long gates may take to know a new canary, and to say what they decide about it: they say something each second.
const LEARN_MAX: Duration = Duration::from_secs(4);

/// Within this every gate has been asked: it says something each second.
const HEARD_WITHIN: Duration = Duration::from_millis(1500);

/// How long it is waited for that a gate refuses: as long as a lease, if that is not too long, and a little more.
const WAIT_MAX: Duration = Duration::from_secs(45);
const BEYOND: Duration = Duration::from_secs(1);

/// Upper bounds of the buckets, in microseconds, and as they are written in seconds.
pub(crate) const BOUNDS: [(u64, &str); 12] = [
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// How often, and how soon a gate should have heard of a revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Seconds from one to the next (60); 0: never.
    pub every_seconds: u64,
    /// Milliseconds after which a gate is late (1000).
    pub late_milliseconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { every_seconds: 60, late_milliseconds: 1000 }
    }
}

/// It.
#[derive(Default)]
pub(crate) struct Canary {
    song: Mutex<Option<Song>>,
    /// A gate has said something.
    heard: Notify,
    pub(crate) seen: Seen,
}

/// One canary, from its making to its end.
struct Song {
    digest: Digest,
    /// Since when it is revoked.
    gone: Option<Position>,
    said: BTreeMap<Session, Said>,
}

/// What one run of a gate has said of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Nothing yet, and it was asked.
    Asked,
    /// It lets it in.
    Allows,
    /// It has let it in, and refused it from then on.
    Refuses(Uptime),
}

/// What came of all of them.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) buckets: [AtomicU64; BOUNDS.len() + 1],
    pub(crate) micros: AtomicU64,
    pub(crate) ok: AtomicU64,
    pub(crate) with_late: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Gates that took too long.
    pub(crate) late: AtomicU64,
    /// Gates that let it in although they say that they know that it is revoked, or refused it although it was not.
    pub(crate) wrong: AtomicU64,
    /// Of the last one: how many gates were heard to decide, to know the position alone, and to do neither.
    pub(crate) decided: AtomicU64,
    pub(crate) applied: AtomicU64,
    pub(crate) unconfirmed: AtomicU64,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Storage(#[from] Fault),
    #[error(transparent)]
    Chance(#[from] NoEntropy),
}

impl Canary {
    /// Notes what a gate decided about the canary with this digest, when it had applied this much.
    pub(crate) fn note(&self, session: Session, digest: &Digest, allows: bool, applied: Position) {
        let mut song = self.song();
        let Some(song) = song.as_mut().filter(|song| song.digest == *digest) else { return };
        let Some(said) = song.said.get_mut(&session) else { return };
        let knows = song.gone.is_some_and(|gone| gone <= applied);
        match (allows, *said) {
            // It knows that it is revoked, or has refused it before.
            (true, Said::Refuses(_)) => self.seen.is_wrong("a gate let in what it had refused"),
            (true, _) if knows => self.seen.is_wrong("a gate let in what it knows to be revoked"),
            (true, _) => *said = Said::Allows,
            (false, Said::Allows) => *said = Said::Refuses(uptime()),
            (false, _) => {}
        }
        self.heard.notify_one();
    }

    /// What a gate is to decide about, if there is a canary that it is told of.
    pub(crate) fn ask(&self, session: Session) -> Option<Digest> {
        let mut song = self.song();
        let song = song.as_mut()?;
        song.said.entry(session).or_insert(Said::Asked);
        Some(song.digest)
    }

    /// Sings for as long as it is polled.
    pub(crate) async fn keep_singing(&self, app: &App, settings: Option<Settings>) {
        let Some(settings) = settings.filter(|settings| settings.every_seconds > 0) else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(Duration::from_secs(settings.every_seconds)).await;
            // With nobody to ask, what the log would tell is nothing.
            if app.enforcer.live() == 0 {
                continue;
            }
            let sung = self.sing(app, Duration::from_millis(settings.late_milliseconds)).await;
            *self.song() = None;
            if let Err(why) = sung {
                self.seen.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(error = %why, "the canary could not sing: how long a revoke takes is not known");
            }
        }
    }

    /// One canary.
    async fn sing(&self, app: &App, late: Duration) -> Result<(), Failed> {
        let minted = app.mint(Kind::Automation)?;
        let (digest, origin) = (minted.secret.digest(), app.local_origin());
        *self.song() = Some(Song { digest, gone: None, said: BTreeMap::new() });
        let id = app.authority.make_canary(&origin, minted).await?;
        let (made, position) = (uptime(), origin.reached().unwrap_or_else(|| app.gate.position()));
        app.enforcer.wait(app, position, made, LEARN_MAX).await;
        // Those that say nothing are measured by what they have applied.
        let learned = async { tokio::join!(tokio::time::sleep(HEARD_WITHIN), self.all_allow()) };
        drop(timeout(LEARN_MAX, learned).await);
        self.seen.expect(allows(app, &digest), "this node refused a canary that is alive");
        let origin = app.local_origin();
        app.authority.revoke_canary(&origin, id).await?;
        let (committed, position) = (uptime(), origin.reached().unwrap_or_else(|| app.gate.position()));
        if let Some(song) = self.song().as_mut() {
            song.gone = Some(position);
        }
        self.seen.expect(!allows(app, &digest), "this node let a revoked canary in");
        let bound = app.enforcer.lease().duration().min(WAIT_MAX) + BEYOND;
        let enforcement = app.enforcer.wait(app, position, committed, bound).await;
        let (Enforcement::Enforced(lines) | Enforcement::Waiting { lines, .. }) = &enforcement;
        self.judge(lines, committed, late);
        Ok(())
    }

    /// Done when every gate that was asked lets the canary in. At first none was: they are when they say something next.
    async fn all_allow(&self) {
        loop {
            let heard = self.heard.notified();
            let done = self.song().as_ref().is_none_or(|song| {
                !song.said.is_empty() && song.said.values().all(|said| *said != Said::Asked)
            });
            if done {
                return;
            }
            heard.await;
        }
    }

    /// What it came to, at each gate.
    fn judge(&self, lines: &[Line], committed: Uptime, late: Duration) {
        let song = self.song();
        let said = |line: &Line| song.as_ref().and_then(|song| song.said.get(&line.session).copied());
        let (mut decided, mut applied, mut unconfirmed, mut too_late) = (0, 0, 0, 0);
        for line in lines {
            let after = match (line.how, said(line)) {
                (How::Confirmed { .. }, Some(Said::Refuses(at))) => {
                    decided += 1;
                    at.since(committed)
                }
                (How::Confirmed { after }, _) => {
                    applied += 1;
                    after
                }
                // It is gone: it lets nobody in.
                (How::LeaseEnded { .. }, _) => continue,
                (How::Waiting { .. }, _) => {
                    unconfirmed += 1;
                    tracing::warn!(gate = &*line.name, "a gate does not know of a revoke");
                    continue;
                }
            };
            self.seen.note(after);
            if after > late {
                too_late += 1;
                let ms = after.as_millis() as u64;
                tracing::warn!(gate = &*line.name, ms, "a gate was late to know of a revoke");
            }
        }
        let seen = &self.seen;
        seen.decided.store(decided, Ordering::Relaxed);
        seen.applied.store(applied, Ordering::Relaxed);
        seen.unconfirmed.store(unconfirmed, Ordering::Relaxed);
        seen.late.fetch_add(too_late + unconfirmed, Ordering::Relaxed);
        let round = if too_late + unconfirmed == 0 { &seen.ok } else { &seen.with_late };
        round.fetch_add(1, Ordering::Relaxed);
    }

    fn song(&self) -> MutexGuard<'_, Option<Song>> {
        self.song.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn note(&self, after: Duration) {
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|(most, _)| micros <= *most).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn expect(&self, is_so: bool, else_what: &str) {
        if !is_so {
            self.is_wrong(else_what);
        }
    }

    fn is_wrong(&self, what: &str) {
        tracing::error!("{what}");
        self.wrong.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the gate of this process decides.
fn allows(app: &App, digest: &Digest) -> bool {
    let want = Want { action: Action::TOKEN_READ_SELF, service: None };
    matches!(app.gate.decide(digest, &want, Circumstances::of(app.clock.now(), None)), Verdict::Allow(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_that_lets_in_what_it_knows_to_be_revoked_is_wrong() {
        let (canary, digest, gate) = (Canary::default(), Digest::from_bytes([7; 32]), Session(1));
        let wrong = || canary.seen.wrong.load(Ordering::Relaxed);
        let said = |allows, applied| canary.note(gate, &digest, allows, Position(applied));
        assert_eq!(canary.ask(gate), None, "there is none");
        *canary.song() = Some(Song { digest, gone: None, said: BTreeMap::new() });
        assert_eq!(canary.ask(gate), Some(digest));
        said(false, 1);
        said(true, 2);
        canary.note(gate, &Digest::from_bytes([8; 32]), false, Position(2));
        assert!(
            canary.song().as_ref().unwrap().said[&gate] == Said::Allows,
            "not yet, then it does; another is another"
        );
        canary.song().as_mut().unwrap().gone = Some(Position(3));
        said(true, 2);
        assert_eq!(wrong(), 0, "it does not know yet");
        said(true, 3);
        assert_eq!(wrong(), 1);
        said(false, 3);
        assert!(matches!(canary.song().as_ref().unwrap().said[&gate], Said::Refuses(_)));
        said(true, 4);
        assert_eq!(wrong(), 2, "it comes back");
    }
}
