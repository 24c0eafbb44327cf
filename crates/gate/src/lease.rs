//! The lease: for how long a gate may let anybody in after the last proof that it has heard everything.
//!
//! The gate sends [`Heartbeat`]s with a nonce each, and notes when it *sent* them, by a clock that only moves forward. The
//! authority commits a heartbeat like a change, and only then echoes it, with the position that the record had reached. Once
//! the gate has applied that much, nothing that was committed before it sent the heartbeat can be unknown to it, so the lease
//! runs from the sending: however long the echo took, however often it came, and whichever came first.
//!
//! What decides here is pure: [`Heartbeats`] and [`Hold`] read no clock, draw no number and send nothing. [`Lease`] is the
//! same hold where a gate that is being asked can read it. `tests/lease` puts them into a network that loses, repeats and
//! delays, and looks for a gate that lets a revoked token in after it was said that none does.

use std::{
    collections::VecDeque,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use keygate_model::{
    Freshness, Knowledge, Position, Span, Uptime,
    enforce::{Echo, Epoch, Heartbeat, Nonce, Session},
    freshness::Worth,
};

/// A proof that everything that was committed before a heartbeat was sent has been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Proof {
    /// When it was sent.
    pub sent: Uptime,
    /// For how long at most it lets the gate let anybody in.
    pub granted: Span,
}

/// Why an echo renews nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stray {
    /// It is another gate's, or of a run that has ended.
    #[error("an echo for another run of a gate")]
    Session,
    /// It is of another life of the record.
    #[error("an echo of another epoch of the record")]
    Epoch,
    /// Nothing that waits for one has this nonce: it came before, or too late.
    #[error("an echo of a heartbeat that waits for none")]
    Nonce,
    /// The record is behind what the gate had applied: it is not the one that was applied from.
    #[error("an echo of a record that is behind what was applied")]
    Behind,
}

/// The heartbeats of one run of a gate: those that are on their way, and those whose echo is ahead of what is applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heartbeats {
    session: Session,
    epoch: Epoch,
    /// Each with when it was sent, and what was applied then.
    sent: VecDeque<(Nonce, Uptime, Position)>,
    owed: VecDeque<(Position, Proof)>,
}

/// The most heartbeats that wait for their echo, and the most that wait to be caught up with.
const WAITING_MAX: usize = 16;

impl Heartbeats {
    /// None yet, of a run that follows this life of the record.
    #[must_use]
    pub fn new(session: Session, epoch: Epoch) -> Self {
        Self { session, epoch, sent: VecDeque::new(), owed: VecDeque::new() }
    }

    /// Follows this life of the record from now on. What was sent in another proves nothing any more.
    pub fn follow(&mut self, epoch: Epoch) {
        if self.epoch != epoch {
            *self = Self::new(self.session, epoch);
        }
    }

    /// The next one. `now` is read before it leaves, and `nonce` has never been used.
    #[must_use]
    pub fn send(&mut self, nonce: Nonce, applied: Position, now: Uptime) -> Heartbeat {
        if self.sent.len() == WAITING_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((nonce, now, applied));
        Heartbeat { session: self.session, epoch: self.epoch, nonce, applied }
    }

    /// What an echo proves now, to a gate that has applied up to `applied`: with it perhaps more, or nothing yet.
    ///
    /// # Errors
    /// [`Stray`]: it is no echo of what was sent here, or not the first.
    pub fn echoed(&mut self, echo: &Echo, applied: Position) -> Result<Vec<Proof>, Stray> {
        if echo.session != self.session {
            return Err(Stray::Session);
        }
        if echo.epoch != self.epoch {
            return Err(Stray::Epoch);
        }
        let place = self.sent.iter().position(|(nonce, ..)| *nonce == echo.nonce).ok_or(Stray::Nonce)?;
        let (_, sent, had) = self.sent.remove(place).ok_or(Stray::Nonce)?;
        if echo.position < had {
            return Err(Stray::Behind);
        }
        // Of too many, those stay that can be caught up with first.
        if self.owed.len() < WAITING_MAX {
            self.owed.push_back((echo.position, Proof { sent, granted: echo.granted }));
        }
        Ok(self.applied(applied))
    }

    /// What is proved by having applied up to `applied`.
    #[must_use]
    pub fn applied(&mut self, applied: Position) -> Vec<Proof> {
        let proved = self.owed.iter().filter(|(position, _)| *position <= applied).map(|(_, proof)| *proof);
        let proved = proved.collect();
        self.owed.retain(|(position, _)| applied < *position);
        proved
    }
}

/// What the proofs so far come to. Each moves both points forward or leaves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hold {
    /// Everything that was committed before this has been applied.
    contact: Uptime,
    /// From here on nobody is let in, whatever a route says.
    limit: Uptime,
}

impl Hold {
    /// Nothing is proved.
    pub const NONE: Self = Self { contact: Uptime::START, limit: Uptime::START };

    /// The same with one proof more.
    #[must_use]
    pub fn with(self, proof: Proof) -> Self {
        Self {
            contact: self.contact.max(proof.sent),
            limit: self.limit.max(proof.sent.after(proof.granted.duration())),
        }
    }

    /// How current a gate is that has it, with a lease of this length.
    #[must_use]
    pub fn knowledge(self, lease: Span, now: Uptime) -> Knowledge {
        if self.limit <= now {
            return Knowledge::Lapsed;
        }
        Knowledge::Proved { age: now.since(self.contact), lease, longest: self.limit.since(self.contact) }
    }
}

/// A gate's lease, where whoever asks can read it while it is renewed.
pub struct Lease(Option<Running>);

struct Running {
    length: Span,
    clock: Box<Clock>,
    contact: AtomicU64,
    limit: AtomicU64,
}

/// Says how late it is, by a clock that only moves forward, also while the machine sleeps.
type Clock = dyn Fn() -> Uptime + Send + Sync;

impl Lease {
    /// How long one lasts, unless somebody says otherwise.
    pub const DEFAULT: Span = Span::seconds::<30>();

    /// How long one lasts where a cut must be felt soon.
    pub const STRICT: Span = Span::seconds::<5>();

    /// None: what the gate holds is the record's own, and as current as that.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// One of this length by this clock, which has lapsed until it is renewed.
    #[must_use]
    pub fn of(length: Span, clock: impl Fn() -> Uptime + Send + Sync + 'static) -> Self {
        let (contact, limit) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Some(Running { length, clock: Box::new(clock), contact, limit }))
    }

    /// Counts a proof. What it proves must have been applied to the gate before.
    pub fn renew(&self, proof: Proof) {
        if let Some(running) = &self.0 {
            let Hold { contact, limit } = Hold::NONE.with(proof);
            running.contact.fetch_max(contact.micros(), Ordering::Release);
            running.limit.fetch_max(limit.micros(), Ordering::Release);
        }
    }

    /// Ends it at once: what the gate holds is to be replaced, by what no proof so far is about.
    pub fn end(&self) {
        if let Some(running) = &self.0 {
            running.limit.store(0, Ordering::Release);
            running.contact.store(0, Ordering::Release);
        }
    }

    /// What is proved now. Whoever decides takes this *before* looking anything up, and asks for the time *after*: then what
    /// was looked up is at least as current as this says, however long the process was held up in between.
    pub(crate) fn hold(&self) -> Hold {
        self.0.as_ref().map_or(Hold::NONE, |running| Hold {
            contact: Uptime::from_micros(running.contact.load(Ordering::Acquire)),
            limit: Uptime::from_micros(running.limit.load(Ordering::Acquire)),
        })
    }

    /// How current what was looked up under `hold` is now.
    pub(crate) fn knowledge_by(&self, hold: Hold) -> Knowledge {
        self.0
            .as_ref()
            .map_or(Knowledge::Current, |running| hold.knowledge(running.length, (running.clock)()))
    }

    /// How current the gate is now.
    #[must_use]
    pub fn knowledge(&self) -> Knowledge {
        self.knowledge_by(self.hold())
    }

    /// Whether it has not lapsed.
    #[must_use]
    pub fn holds(&self) -> bool {
        Freshness::default().weigh(self.knowledge()) == Worth::Fresh
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.knowledge()).finish()
    }
}

/// The clock for leases: it only moves forward, runs on while the machine sleeps, and nobody sets it.
#[cfg(feature = "follow")]
#[must_use]
pub fn uptime() -> Uptime {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let part = |part: i64, each: u64| u64::try_from(part).unwrap_or(0).saturating_mul(each);
    Uptime::from_micros(part(time.tv_sec, 1_000_000).saturating_add(part(time.tv_nsec, 1) / 1_000))
}

#[cfg(test)]
mod tests;
