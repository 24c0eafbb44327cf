//! The chain: every event carries a hash over itself and the one before, and the head, the last of them, is sealed with
//! a key that is not in the database. Editing, inserting, removing or reordering events breaks it.

use keygate_model::{Actor, Event, Position};
use sha2::{Digest as _, Sha256};

use crate::{
    db::{Connection, NONE, params},
    event::Row,
    fault::Fault,
    keys::Keys,
    origin::Origin,
};

/// The end of the chain, and what all rows together must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) position: Position,
    pub(crate) hash: [u8; 32],
    /// The sum of the seals of all rows.
    pub(crate) seals: SealSum,
    /// How often the operator has raised the epoch.
    pub(crate) raised: i64,
    /// How many mass revokes are not noted yet in all rows that they are about.
    pub(crate) unnoted: i64,
}

/// Seals of many rows, added up: adding and taking away one costs nothing, and a row that was planted, lost or set back
/// changes the sum. The seals are outputs of a keyed hash, so nobody without the key can make others that add up to the
/// same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SealSum([u64; 4]);

impl SealSum {
    pub(crate) fn add(&mut self, seal: &[u8; 32]) {
        let mut carry = false;
        for (word, part) in self.0.iter_mut().zip(words(seal)) {
            (*word, carry) = word.carrying_add(part, carry);
        }
    }

    pub(crate) fn take(&mut self, seal: &[u8; 32]) {
        let mut borrow = false;
        for (word, part) in self.0.iter_mut().zip(words(seal)) {
            (*word, borrow) = word.borrowing_sub(part, borrow);
        }
    }

    fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let word =
        |from: usize| bytes[from..from + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    [word(0), word(8), word(16), word(24)]
}

impl Head {
    pub(crate) const START: Self =
        Self { position: Position(0), hash: [0; 32], seals: SealSum([0; 4]), raised: 0, unnoted: 0 };

    /// Reads the head, and checks its seal.
    pub(crate) fn read(db: &Connection, keys: &Keys) -> Result<Self, Fault> {
        let mut select = db.prepare_cached("SELECT position, hash, seals, epoch, unnoted, mac FROM head")?;
        let mut rows = select.query(NONE)?;
        let Some(row) = rows.next()? else {
            let mut select = db.prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM events)")?;
            let empty: bool = select.query_row(NONE, |row| row.get(0))?;
            return if empty { Ok(Self::START) } else { Err(Self::tampered()) };
        };
        let seals = SealSum(words(&row.get(2)?));
        let (position, hash) = (Position(row.get(0)?), row.get(1)?);
        let head = Self { position, hash, seals, raised: row.get(3)?, unnoted: row.get(4)? };
        let mac: Vec<u8> = row.get(5)?;
        if head.seal(keys).is(&mac) { Ok(head) } else { Err(Self::tampered()) }
    }

    /// Writes the head. The last statement of every transaction.
    pub(crate) fn save(&self, db: &Connection, keys: &Keys) -> Result<(), Fault> {
        let mut upsert = db.prepare_cached(
            "INSERT INTO head (one, position, hash, seals, epoch, unnoted, mac) VALUES (1, $1, $2, $3, $4, $5, $6)
             ON CONFLICT (one) DO UPDATE SET position = $1, hash = $2, seals = $3, epoch = $4, unnoted = $5, mac = $6",
        )?;
        upsert.execute(params![
            self.position.0,
            self.hash,
            self.seals.bytes(),
            self.raised,
            self.unnoted,
            self.seal(keys).finish(),
        ])?;
        Ok(())
    }

    /// Appends `event`, and moves on to it.
    pub(crate) fn append(
        &mut self,
        db: &Connection,
        keys: &Keys,
        by: (Actor, String),
        origin: &Origin,
        event: &Event,
    ) -> Result<Position, Fault> {
        let position = self.position.next();
        let row = Row::of(keys, position, by, origin, event);
        self.hash = row.hash(&self.hash);
        self.position = position;
        row.insert(db, &self.hash)?;
        Ok(position)
    }

    fn seal(&self, keys: &Keys) -> crate::keys::Seal {
        let seal = keys.seal("head").int(self.position.0).blob(&self.hash).blob(&self.seals.bytes());
        // A head from before there were these has a seal without them.
        if (self.raised, self.unnoted) == (0, 0) { seal } else { seal.int(self.raised).int(self.unnoted) }
    }

    pub(crate) fn tampered() -> Fault {
        Fault::Tampered { noun: "head", id: "of the event log".to_owned() }
    }
}

/// SHA-256 over fields with their lengths before them.
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn after(previous: &[u8; 32]) -> Self {
        Self(Sha256::new_with_prefix(b"keygate event 1").chain_update(previous))
    }

    pub(crate) fn blob(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
