//! What a follower makes of what it hears. Knows nothing of connections.

use keygate_model::{Batch, CustomerId, Position, Record, Subject};

use super::{Past, Place, Why};
use crate::{
    Filling, Gate, Retired,
    wire::{Beat, Check, Frame, Head, Hello, Stage, VERSION},
};

/// For how many tokens a replica is sized because a node says so: it grows.
const TOKENS_EXPECTED_MAX: u64 = 1 << 20;

/// What is remembered from one node to the next.
#[derive(Default)]
pub(super) struct Known {
    /// The epoch of what is held. None: nothing is, or nothing that may be gone on with.
    whole: Option<u64>,
    /// Where it has been.
    past: Past,
    /// The hash of the chain of events at what is held, if it was heard.
    hash: Option<Vec<u8>>,
}

/// What came of a frame.
pub enum Taken {
    /// Everything is new, and what was before can go.
    Replaced(Retired),
    /// Something has changed.
    Applied,
    /// Nothing has.
    Nothing,
}

/// What a stream is doing.
pub(super) struct Intake {
    epoch: u64,
    customer: Option<CustomerId>,
    filling: Option<Filling>,
}

impl Known {
    /// Where to ask for what follows.
    pub(super) fn path(&self, gate: &Gate) -> String {
        let asked = |place: &Place| {
            let hash = data_encoding::HEXLOWER.encode(&place.hash);
            format!("/feed?from={}&hash={hash}&epoch={}", place.position.0, place.epoch)
        };
        match (self.place(gate), &self.past.heard) {
            (Some(place), _) => asked(&place),
            // Only who has the same past may say what there is now.
            (None, Some(heard)) => asked(heard) + "&anew=true",
            (None, None) => "/feed".to_owned(),
        }
    }

    /// Where to go on, as it is kept.
    pub(super) fn place(&self, gate: &Gate) -> Option<Place> {
        let (epoch, hash) = (self.whole?, self.hash.clone()?);
        Some(Place { epoch, position: gate.position(), hash })
    }

    /// What was kept is held now.
    pub(super) fn go_on_from(&mut self, place: Place) {
        self.took(place.epoch, place.position);
        (self.whole, self.hash) = (Some(place.epoch), Some(place.hash.clone()));
        self.past.heard = Some(place);
    }

    /// Nothing behind this is taken, and nothing that this is no part of.
    pub(super) fn remember(&mut self, past: Past) {
        self.past = past;
    }

    pub(super) fn past(&self) -> &Past {
        &self.past
    }

    /// What is held may not be gone on with. Where it has been stays known.
    pub(super) fn forget(&mut self) {
        (self.whole, self.hash) = (None, None);
    }

    fn may_take(&self, epoch: u64, position: Position) -> Result<(), Why> {
        let high = self.past.high;
        if (epoch, position) < high {
            return Err(Why::Behind { held: high.1, epoch: high.0 });
        }
        Ok(())
    }

    fn took(&mut self, epoch: u64, position: Position) {
        self.past.high = self.past.high.max((epoch, position));
    }
}

impl Intake {
    /// Judges what a node says first.
    pub(super) fn begin(gate: &Gate, known: &Known, hello: &Hello) -> Result<Self, Why> {
        if hello.oldest > VERSION {
            return Err(Why::TooOld(hello.oldest));
        }
        known.may_take(hello.epoch, Position(hello.position))?;
        if !hello.snapshot && known.whole != Some(hello.epoch) {
            return Err(Why::Unexpected);
        }
        let customer = match &hello.customer[..] {
            [] => None,
            id => Some(CustomerId::from_bytes(id.try_into().map_err(|_| Why::Unexpected)?)),
        };
        let expected = usize::try_from(hello.tokens.min(TOKENS_EXPECTED_MAX)).unwrap_or_default();
        let filling = hello.snapshot.then(|| gate.filling(expected));
        Ok(Self { epoch: hello.epoch, customer, filling })
    }

    /// Takes what was said next.
    pub(super) fn take(&mut self, gate: &Gate, known: &mut Known, frame: Frame) -> Result<Taken, Why> {
        match frame {
            Frame::Hello(_) => Err(Why::Unexpected),
            Frame::Records(Stage::Snapshot, head, records) => self.fill(gate, known, &head, records),
            Frame::Records(Stage::Tail, head, records) => self.apply(gate, known, &head, records),
            Frame::Beat(beat) => self.hear(gate, known, beat),
            Frame::Check(check) => self.compare(gate, &check),
            Frame::End(end) => Err(Why::Ended(end.code)),
        }
    }

    fn fill(
        &mut self,
        gate: &Gate,
        known: &mut Known,
        head: &Head,
        mut records: Vec<Record>,
    ) -> Result<Taken, Why> {
        let filling = self.filling.as_ref().ok_or(Why::Unexpected)?;
        // It does not hold the token, and would look for it in all of its table.
        records.retain(|record| !matches!(record, Record::Broken(Subject::Token(_))));
        let position = Position(head.position);
        if !head.complete {
            filling.apply(Batch { position: Position(0), records });
            return Ok(Taken::Nothing);
        }
        known.may_take(self.epoch, position)?;
        filling.apply(Batch { position, records });
        let Some(filled) = self.filling.take() else { return Err(Why::Unexpected) };
        if known.past.high.0 != self.epoch {
            // What was proved is about another life of the record.
            gate.lease().end();
        }
        let retired = gate.replace(filled);
        known.took(self.epoch, position);
        (known.whole, known.hash) = (Some(self.epoch), None);
        gate.open();
        Ok(Taken::Replaced(retired))
    }

    fn apply(&self, gate: &Gate, known: &mut Known, head: &Head, records: Vec<Record>) -> Result<Taken, Why> {
        let (after, position, held) = (Position(head.after), Position(head.position), self.held(gate)?);
        if after > held {
            return Err(Why::Gap { after, held });
        }
        // The state of things at an earlier time may be one that was revoked since.
        if position < held || (position == held && after != held) {
            return Err(Why::Behind { held, epoch: self.epoch });
        }
        known.hash = None;
        let applied = if head.complete { position } else { held };
        gate.apply(Batch { position: applied, records });
        known.took(self.epoch, applied);
        Ok(Taken::Applied)
    }

    fn hear(&self, gate: &Gate, known: &mut Known, beat: Beat) -> Result<Taken, Why> {
        let (at, held) = (Position(beat.position), self.held(gate)?);
        if at > held {
            return Err(Why::Gap { after: at, held });
        }
        if at < held {
            return Err(Why::Behind { held, epoch: self.epoch });
        }
        known.hash = (beat.hash.len() == 32).then_some(beat.hash);
        if let Some(place) = known.place(gate) {
            known.past.heard = Some(place);
        }
        gate.open();
        Ok(Taken::Nothing)
    }

    fn compare(&self, gate: &Gate, check: &Check) -> Result<Taken, Why> {
        let at = Position(check.position);
        if at == self.held(gate)? && gate.digest(self.customer).to_be_bytes()[..] != check.digest {
            return Err(Why::Differs { at });
        }
        Ok(Taken::Nothing)
    }

    /// Where the replica is that decides. There is none while the first one is not whole.
    fn held(&self, gate: &Gate) -> Result<Position, Why> {
        if self.filling.is_some() { Err(Why::Unexpected) } else { Ok(gate.position()) }
    }
}

#[cfg(test)]
mod tests;
