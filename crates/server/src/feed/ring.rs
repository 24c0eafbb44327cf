//! What was said of late, for those who follow to read at their own pace.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    thread,
};

use bytes::Bytes;
use keygate_gate::wire::{Beat, Check, Frame, Head, PART_LEN, RECORDS_MAX, Stage, part};
use keygate_model::{Batch, Position};

use super::{
    audience::{Audiences, Telling, View},
    teller::Teller,
};

/// How many bytes of it are kept, and how many of these one change counts for at most: a mass revoke is larger than all of
/// it, and what comes after must not make those forget it who are about to be told.
const BYTES_MAX: usize = 32 * 1024 * 1024;
const CHANGE_MAX: usize = BYTES_MAX / 2;

/// Bytes that a thing takes beside what it says.
const OVERHEAD: usize = 128;

/// The last things that were said, in order.
#[derive(Default)]
pub struct Ring {
    /// Each with the bytes that it counts for.
    things: VecDeque<(Arc<Thing>, usize)>,
    /// The number of the first of them, counted from the start of the process.
    first: u64,
    bytes: usize,
    last: Position,
    /// Who follows, or has. Empty: nothing is kept.
    views: BTreeMap<View, usize>,
}

/// One of them.
pub(super) enum Thing {
    /// Records, or a part of them.
    Records(Changes),
    /// A heartbeat.
    Beat(Position, Bytes),
    /// A sum for each view.
    Checks(Position, BTreeMap<View, Bytes>),
}

/// What has changed, or a part of it.
pub(super) struct Changes {
    pub(super) head: Head,
    /// The frame for those who are told of everything.
    all: Bytes,
    tellings: Vec<Telling>,
}

impl Ring {
    /// The position that was said last.
    #[must_use]
    pub fn last(&self) -> Position {
        self.last
    }

    /// The number of what will be said next.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.things.len() as u64
    }

    /// Whether anybody follows, or has.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        !self.views.is_empty()
    }

    /// Who follows.
    pub(super) fn views(&self) -> Vec<View> {
        self.views.iter().filter(|(_, followers)| **followers > 0).map(|(view, _)| *view).collect()
    }

    /// Somebody follows from here on: the number of what comes next.
    pub fn enter(&mut self, view: View) -> u64 {
        *self.views.entry(view).or_default() += 1;
        self.end()
    }

    /// Somebody does not follow any more.
    pub fn leave(&mut self, view: View) {
        // That somebody has stays known, so that whoever comes back finds what was said meanwhile.
        if let Some(followers) = self.views.get_mut(&view) {
            *followers = followers.saturating_sub(1);
        }
    }

    /// The thing with this number. Err: it is forgotten already.
    pub(super) fn get(&self, number: u64) -> Result<Option<Arc<Thing>>, Forgotten> {
        let place = number.checked_sub(self.first).ok_or(Forgotten)?;
        Ok(usize::try_from(place)
            .ok()
            .and_then(|place| self.things.get(place))
            .map(|(thing, _)| Arc::clone(thing)))
    }

    /// Where to go on for somebody who holds everything up to a position. None: that is forgotten, or was never said.
    #[must_use]
    pub fn after(&self, position: Position) -> Option<u64> {
        if position == self.last {
            return Some(self.end());
        }
        let follows = |(thing, _): &(Arc<Thing>, usize)| matches!(&**thing, Thing::Records(changes) if changes.head.after <= position.0 && position.0 < changes.head.position);
        Some(self.first + self.things.iter().position(follows)? as u64)
    }

    /// Goes on to a position without a word, if nobody is there to hear one: whether it did.
    pub(super) fn passes(&mut self, position: Position) -> bool {
        if !self.is_followed() {
            self.last = position;
        }
        !self.is_followed()
    }

    /// Adds what has changed.
    pub(super) fn push(&mut self, position: Position, parts: Vec<Changes>) {
        let mut free = CHANGE_MAX;
        for part in parts {
            let counts = (part.len() + OVERHEAD).min(free);
            free -= counts;
            self.keep(Thing::Records(part), counts);
        }
        self.last = position;
    }

    /// Adds a heartbeat.
    pub fn push_beat(&mut self, beat: &Beat) {
        let frame = Frame::Beat(beat.clone()).encode();
        let counts = frame.len() + OVERHEAD;
        self.keep(Thing::Beat(Position(beat.position), frame), counts);
    }

    /// Adds sums.
    pub(super) fn push_checks(&mut self, checks: BTreeMap<View, Check>) {
        let checks: BTreeMap<_, _> =
            checks.into_iter().map(|(view, check)| (view, Frame::Check(check).encode())).collect();
        let counts = (checks.len() + 1) * OVERHEAD;
        self.keep(Thing::Checks(self.last, checks), counts);
    }

    fn keep(&mut self, thing: Thing, counts: usize) {
        self.bytes += counts;
        self.things.push_back((Arc::new(thing), counts));
        // What counts for nothing is the end of a change whose beginning is forgotten.
        while self.bytes > BYTES_MAX || self.things.front().is_some_and(|(_, counts)| *counts == 0) {
            let Some((_, counted)) = self.things.pop_front() else { break };
            self.bytes -= counted;
            self.first += 1;
        }
    }
}

/// Where somebody is who reads along.
pub struct Reader {
    view: View,
    /// The number of what they are told next.
    next: u64,
    /// Everything up to here was told them.
    held: Position,
}

impl Reader {
    /// Somebody who was told everything up to a position, and reads on from the thing with this number.
    #[must_use]
    pub fn new(view: View, next: u64, held: Position) -> Self {
        Self { view, next, held }
    }

    /// What they are told next, if there is anything. Nobody waits while it is written for them.
    ///
    /// # Errors
    /// [`Forgotten`]: they were too slow.
    pub fn frame(&mut self, teller: &Teller) -> Result<Option<Bytes>, Forgotten> {
        loop {
            let thing = teller.ring().get(self.next)?;
            let Some(thing) = thing else { return Ok(None) };
            self.next += 1;
            let frame = self.told(&thing);
            if frame.is_some() {
                return Ok(frame);
            }
        }
    }

    /// What a thing is to them.
    fn told(&mut self, thing: &Thing) -> Option<Bytes> {
        match thing {
            Thing::Records(changes) => {
                let (after, position) = (Position(changes.head.after), Position(changes.head.position));
                // A snapshot may be ahead of what was said.
                if position < self.held || (position == self.held && after != self.held) {
                    return None;
                }
                if changes.head.complete {
                    self.held = position;
                }
                Some(changes.frame(self.view))
            }
            Thing::Beat(position, frame) => (*position == self.held).then(|| frame.clone()),
            Thing::Checks(position, frames) if *position == self.held => frames.get(&self.view).cloned(),
            Thing::Checks(..) => None,
        }
    }
}

/// It was said too long ago.
#[derive(Debug, PartialEq, Eq)]
pub struct Forgotten;

impl Changes {
    /// A batch in parts, for those who hold everything up to a position. The processor is left to others again and again.
    pub(super) fn of(batch: &Batch, after: Position, audiences: &mut Audiences) -> Vec<Self> {
        let head = |complete| Head { after: after.0, position: batch.position.0, complete, count: 0 };
        let (mut parts, mut tellings, mut len) = (Vec::new(), Vec::<Telling>::new(), 0);
        for record in &batch.records {
            if len >= PART_LEN || tellings.len() + 2 > RECORDS_MAX {
                parts.push(Self::part(head(false), std::mem::take(&mut tellings)));
                len = 0;
            }
            let before = tellings.len();
            audiences.tell(record, &mut tellings);
            len += tellings[before..].iter().map(|telling| telling.record.len()).sum::<usize>();
            thread::yield_now();
        }
        parts.push(Self::part(head(true), tellings));
        parts
    }

    fn part(head: Head, tellings: Vec<Telling>) -> Self {
        let all = frame(Stage::Tail, &head, &tellings, View::All);
        Self { head, all, tellings }
    }

    /// The bytes that it takes.
    fn len(&self) -> usize {
        self.all.len() + self.tellings.iter().map(|telling| telling.record.len() + OVERHEAD).sum::<usize>()
    }

    /// The frame for a view.
    pub(super) fn frame(&self, view: View) -> Bytes {
        match view {
            View::All => self.all.clone(),
            view @ View::Customer(_) => frame(Stage::Tail, &self.head, &self.tellings, view),
        }
    }
}

/// The frame with what a view is told of.
pub(super) fn frame(stage: Stage, head: &Head, tellings: &[Telling], view: View) -> Bytes {
    let records: Vec<_> = tellings
        .iter()
        .filter(|telling| telling.is_for(view))
        .map(|telling| telling.record.clone())
        .collect();
    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    part(stage, &Head { count, ..head.clone() }, &records)
}

#[cfg(test)]
mod tests;
