//! Epochs: what an operator begins where the record was set back, and how a node notices that it was.
//!
//! Nothing in a database can tell that all of it was set back. So a node remembers, in a file beside the key, how far the
//! record had come; it does not serve one that is behind that, or has another past, until the operator has said that what
//! is missing is lost.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use keygate_model::{Actor, Event, Position, Timestamp};

use crate::{
    authority::Authority,
    chain::Head,
    db::Connection,
    fault::Fault,
    keys::{Keys, Seal},
    origin::Origin,
};

/// The first epoch of a record.
const FIRST: i64 = 1;

/// Where a node remembers how far the record had come.
#[derive(Clone, Debug)]
pub struct Memory(PathBuf);

/// How far a record has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    raised: i64,
    position: Position,
    hash: [u8; 32],
    /// The hash of its first event: which record it is.
    first: [u8; 32],
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// Its epoch.
    pub epoch: u64,
    /// Its last event.
    pub position: Position,
    /// When that happened. None: nothing has.
    pub at: Option<Timestamp>,
    /// The epoch and the position that this machine has seen. None: it remembers nothing of this record.
    pub seen: Option<(u64, Position)>,
    /// Whether the record is not what this machine has seen, or what came after.
    pub is_behind: bool,
}

impl Memory {
    /// In this file.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// What is remembered. None: nothing, or nothing that can be believed.
    fn read(&self, keys: &Keys) -> Option<Seen> {
        let text = fs::read_to_string(&self.0).ok()?;
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[raised, position, hash, first, mac] = &fields[..] else { return None };
        let bytes = |hex: &str| -> Option<[u8; 32]> {
            data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
        };
        let seen = Seen {
            raised: raised.parse().ok()?,
            position: Position(position.parse().ok()?),
            hash: bytes(hash)?,
            first: bytes(first)?,
        };
        seen.seal(keys).is(&bytes(mac)?).then_some(seen)
    }

    fn write(&self, keys: &Keys, seen: &Seen) -> io::Result<()> {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let Seen { raised, position, hash, first } = seen;
        let mac = seen.seal(keys).finish();
        let text = format!("{raised} {} {} {} {}\n", position.0, hex(hash), hex(first), hex(&mac));
        let mut beside = self.0.clone().into_os_string();
        beside.push(".new");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        fs::rename(beside, &self.0)
    }
}

impl Seen {
    /// The record as it is now. None: nothing has happened.
    pub(crate) fn of(db: &Connection, head: &Head) -> Result<Option<Self>, Fault> {
        let Some(first) = hash_at(db, Position(1))? else { return Ok(None) };
        Ok(Some(Self { raised: head.raised, position: head.position, hash: head.hash, first }))
    }

    fn seal(&self, keys: &Keys) -> Seal {
        keys.seal("seen").int(self.raised).int(self.position.0).blob(&self.hash).blob(&self.first)
    }

    /// Whether a record lacks what was seen, and no epoch was begun since.
    fn is_missing_in(&self, db: &Connection, head: &Head) -> Result<bool, Fault> {
        if (head.raised, head.position) == (self.raised, self.position) {
            return Ok(head.hash != self.hash);
        }
        if (head.raised, head.position) < (self.raised, self.position) {
            return Ok(true);
        }
        Ok(head.raised == self.raised && hash_at(db, self.position)? != Some(self.hash))
    }
}

fn hash_at(db: &Connection, position: Position) -> Result<Option<[u8; 32]>, Fault> {
    let mut select = db.prepare_cached("SELECT hash FROM events WHERE position = $1")?;
    let mut rows = select.query([position.0])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

/// Remembers how far the record has come.
pub(crate) fn remember(db: &Connection, keys: &Keys, memory: &Memory, head: &Head) -> Result<(), Fault> {
    let Some(seen) = Seen::of(db, head)? else { return Ok(()) };
    memory.write(keys, &seen).map_err(|why| {
        Fault::invalid("memory_unwritable", format!("{} cannot be written: {why}", memory.0.display()))
    })
}

/// Refuses a record that is behind what this machine has seen.
pub(crate) fn is_not_behind(db: &Connection, keys: &Keys, memory: &Memory) -> Result<(), Fault> {
    let here = whereabouts(db, keys, memory)?;
    let (Some((_, seen)), true) = (here.seen, here.is_behind) else { return Ok(()) };
    let at = here.at.map_or_else(|| "nothing has happened".to_owned(), crate::text::time);
    let why = format!(
        "the record is not the one that this machine has seen, or is behind it: it ends at event {} ({at}), and event {} of \
         another course was seen ({}). It was restored from a backup, or a fail-over has lost commits. Nothing is served, \
         so that nothing that was revoked comes back: `keygate epoch raise` accepts the loss, docs/backup.md says what \
         to look at first",
        here.position.0,
        seen.0,
        memory.0.display(),
    );
    Err(Fault::invalid("epoch_regression", why))
}

fn whereabouts(db: &Connection, keys: &Keys, memory: &Memory) -> Result<Whereabouts, Fault> {
    let (head, is_believed) = match Head::read(db, keys) {
        // Then nothing is believed anyway, and other words say so.
        Err(Fault::Tampered { .. }) => (Head::START, false),
        head => (head?, true),
    };
    let first = hash_at(db, Position(1))?;
    let seen = memory.read(keys).filter(|seen| first == Some(seen.first));
    let is_behind = match &seen {
        Some(seen) if is_believed => seen.is_missing_in(db, &head)?,
        _ => false,
    };
    let mut select = db.prepare_cached("SELECT at FROM events WHERE position = $1")?;
    let mut rows = select.query([head.position.0])?;
    let at = rows.next()?.map(|row| row.get(0)).transpose()?.map(Timestamp::from_micros);
    let seen = seen.map(|seen| (number(seen.raised), seen.position));
    Ok(Whereabouts { epoch: number(head.raised), position: head.position, at, seen, is_behind })
}

/// The number of the epoch after so many were begun.
pub(crate) fn number(raised: i64) -> u64 {
    FIRST.saturating_add(raised).unsigned_abs()
}

impl Authority {
    /// The epoch of the record: positions of one epoch never go backwards. A node whose record begins another believes
    /// nothing any more until it is started again.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Where the record stands, and what this machine has seen of it.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn whereabouts(&self) -> Result<Whereabouts, Fault> {
        let memory = self.memory.clone();
        self.read(move |db, keys| whereabouts(db, keys, &memory)).await
    }

    /// Begins an epoch: the operator accepts that what was acknowledged after this record's end is lost. Gates and nodes
    /// that have seen more follow it from now on.
    ///
    /// # Errors
    /// `memory_unwritable`, with the epoch begun; storage faults.
    pub async fn raise_epoch(&self, origin: &Origin) -> Result<u64, Fault> {
        let here = self.whereabouts().await?;
        let seen = here.seen.filter(|_| here.is_behind);
        let epoch = self.change(Actor::Operator { customer: None }, origin, move |mut write| {
            // A backup may be of an epoch that was over when it was restored the last time.
            let epoch = write.raise_epoch(seen.map_or(FIRST, |(epoch, _)| epoch.cast_signed()) - FIRST);
            let (epoch, seen) = (number(epoch), seen.map(|(_, position)| position));
            write.commit(&Event::EpochRaise { epoch, seen }, epoch)
        });
        let epoch = epoch.await?;
        let memory = self.memory.clone();
        self.read(move |db, keys| remember(db, keys, &memory, &Head::read(db, keys)?)).await?;
        Ok(epoch)
    }
}
