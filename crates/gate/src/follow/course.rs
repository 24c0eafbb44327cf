//! What a gate that follows makes of what it is told, and what it says: without lines, clocks and chance. Those come with
//! [`Follower`](super::Follower); the simulation in `crates/server/tests/sim` brings its own.

use std::sync::Arc;

use keygate_model::{
    Position, Uptime,
    enforce::{Echo, Epoch, Heartbeat, Nonce, Session},
};

use super::{
    Past, Place, Why,
    intake::{Intake, Known, Taken},
};
use crate::{
    Filling, Gate,
    lease::{Heartbeats, Proof, Stray},
    wire::{Frame, Hello},
};

/// One run of a gate that follows.
pub struct Course {
    gate: Arc<Gate>,
    known: Known,
    /// The stream that is being read.
    intake: Option<Intake>,
    heartbeats: Heartbeats,
    /// The epoch of the node that is followed, or was last.
    epoch: u64,
    /// Where it could go on when it was last told.
    place: Option<Place>,
}

impl Course {
    /// One that fills this gate, and opens and closes it.
    #[must_use]
    pub fn new(gate: Arc<Gate>, session: Session) -> Self {
        let heartbeats = Heartbeats::new(session, Epoch(0));
        Self { gate, known: Known::default(), intake: None, heartbeats, epoch: 0, place: None }
    }

    /// Goes on from what was kept, if it was, and never follows a node that is behind `past`, or has another. The gate stays
    /// closed until a node has told what was missed.
    pub fn begin_with(&mut self, kept: Option<(Filling, Place)>, past: Past) {
        self.known.remember(past);
        if let Some((filling, place)) = kept {
            drop(self.gate.replace(filling));
            self.known.go_on_from(place);
        }
        self.note();
    }

    /// What a node is asked for.
    #[must_use]
    pub fn path(&self) -> String {
        self.known.path(&self.gate)
    }

    /// Where the gate could go on when a node last said where it was. None: nowhere.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Where it has been.
    #[must_use]
    pub fn past(&self) -> &Past {
        self.known.past()
    }

    /// Judges what a node says first.
    ///
    /// # Errors
    /// [`Why`] it is not followed.
    pub fn begin(&mut self, hello: &Hello) -> Result<(), Why> {
        self.heartbeats.follow(Epoch(hello.epoch));
        self.epoch = hello.epoch;
        self.intake = Some(Intake::begin(&self.gate, &self.known, hello)?);
        Ok(())
    }

    /// Takes what the node says next.
    ///
    /// # Errors
    /// [`Why`] it is not followed any more.
    pub fn take(&mut self, frame: Frame) -> Result<Taken, Why> {
        let intake = self.intake.as_mut().ok_or(Why::Unexpected)?;
        let taken = intake.take(&self.gate, &mut self.known, frame)?;
        self.note();
        if !matches!(taken, Taken::Nothing) {
            let proofs = self.heartbeats.applied(self.applied());
            self.renew(proofs);
        }
        Ok(taken)
    }

    /// The node is not followed any more.
    pub fn ended(&mut self, why: &Why) {
        self.intake = None;
        if why.spoils() {
            self.known.forget();
            self.place = None;
        }
        if matches!(why, Why::Differs { .. }) {
            // What is held is known to be wrong.
            self.gate.close();
        }
    }

    /// The next heartbeat. `now` is read before it leaves, and so is what was applied by then.
    #[must_use]
    pub fn heartbeat(&mut self, nonce: Nonce, now: Uptime) -> Heartbeat {
        self.heartbeats.send(nonce, self.applied(), now)
    }

    /// Counts an echo.
    ///
    /// # Errors
    /// [`Stray`]: it proves nothing.
    pub fn echoed(&mut self, echo: &Echo) -> Result<(), Stray> {
        let proofs = self.heartbeats.echoed(echo, self.applied())?;
        self.renew(proofs);
        Ok(())
    }

    /// What was applied of the record that is followed: positions in another life of it say nothing.
    fn applied(&self) -> Position {
        if self.known.past().high.0 == self.epoch { self.gate.position() } else { Position(0) }
    }

    fn renew(&self, proofs: Vec<Proof>) {
        proofs.into_iter().for_each(|proof| self.gate.lease().renew(proof));
    }

    fn note(&mut self) {
        let (epoch, _) = self.known.past().high;
        // What was held earlier in the same epoch is as good to go on from, as long as it is right.
        let earlier = self.place.take().filter(|earlier| earlier.epoch == epoch);
        self.place = self.known.place(&self.gate).or(earlier);
    }
}

#[cfg(test)]
mod tests;
