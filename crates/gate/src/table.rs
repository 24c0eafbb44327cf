//! The table of tokens: one cache line each, found by the first 128 bits of the digest, read without a lock.
//!
//! Open addressing with linear probing. A slot is written by the one writer, in this order: what is in it, then its key.
//! It is never used again for another token: a token that goes leaves its slot marked as gone until the table is built
//! anew. So a reader who has seen a key sees what belongs to it, and nothing is ever half of one token and half of
//! another. `docs/decisions/replica.md` has the alternatives and their measurements.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use keygate_model::{Digest, TokenId, UserId};
use prefetch_index::prefetch_index;

/// Key of a slot that was never used: a search ends here.
const EMPTY: u64 = 0;
/// Key of a slot whose token is gone: a search goes on.
const GONE: u64 = 1;
/// Set in every key, so that none is one of the two above.
const USED: u64 = 2;

/// Share of slots in use at which the table is built anew: 64 bytes ÷ 0.8 is 80 bytes a token …
const FULL_PERCENT: usize = 80;
/// … and by how much larger: just after that it is 96 bytes a token. A small table grows faster, so that filling it from
/// nothing does not build it anew too often.
const GROWTH_PERCENT: usize = 120;
const GROWTH_PERCENT_WHEN_SMALL: usize = 160;
const SMALL_SLOTS: usize = 1 << 21;
/// How full a table is made for a known number of tokens.
const START_PERCENT: usize = 75;
const SLOTS_MIN: usize = 1024;

/// What a key looks like in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(u64, u64);

impl Key {
    pub(crate) fn of(digest: &Digest) -> Self {
        let (first, second) = digest.prefix();
        Self(first | USED, second)
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.0) << 64 | u128::from(self.1)).to_be_bytes()
    }
}

/// What the replica knows of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: TokenId,
    /// The user it is bound to. Zero for none: it is no id that anybody draws.
    pub(crate) user: UserId,
    /// Place of its owner on the shelf of owners.
    pub(crate) owner: u32,
    /// Place of its grant on the shelf of grants.
    pub(crate) grant: u32,
    /// Seconds since 1970, or [`NEVER`].
    pub(crate) expires: u32,
}

/// An expiry that does not come.
pub(crate) const NEVER: u32 = u32::MAX;

/// One token: exactly one cache line.
#[repr(align(64))]
pub(crate) struct Slot {
    first: AtomicU64,
    second: AtomicU64,
    id: [AtomicU64; 2],
    user: [AtomicU64; 2],
    /// Owner in the upper half, grant in the lower, so that both change together.
    who: AtomicU64,
    expires: AtomicU32,
    /// When it was last noted as used, in seconds since 1970.
    pub(crate) used_at: AtomicU32,
}

impl Slot {
    fn empty() -> Self {
        Self {
            first: AtomicU64::new(EMPTY),
            second: AtomicU64::new(0),
            id: [AtomicU64::new(0), AtomicU64::new(0)],
            user: [AtomicU64::new(0), AtomicU64::new(0)],
            who: AtomicU64::new(0),
            expires: AtomicU32::new(0),
            used_at: AtomicU32::new(0),
        }
    }

    /// What is in it. Only for a slot whose key was just seen.
    pub(crate) fn entry(&self) -> Entry {
        let who = self.who.load(Ordering::Acquire);
        Entry {
            id: TokenId::from_bits(load(&self.id)),
            user: UserId::from_bits(load(&self.user)),
            owner: (who >> 32) as u32,
            grant: who as u32,
            expires: self.expires.load(Ordering::Acquire),
        }
    }

    /// Writes everything but the key.
    fn fill(&self, entry: &Entry) {
        store(&self.id, entry.id.bits());
        store(&self.user, entry.user.bits());
        self.expires.store(entry.expires, Ordering::Release);
        self.who.store(u64::from(entry.owner) << 32 | u64::from(entry.grant), Ordering::Release);
    }

    fn key(&self) -> Key {
        let first = self.first.load(Ordering::Acquire);
        Key(first, self.second.load(Ordering::Relaxed))
    }
}

fn shown<'s>(slots: impl Iterator<Item = &'s Slot>, mut show: impl FnMut(Key, Entry)) {
    let taken = slots.filter(|slot| slot.first.load(Ordering::Acquire) > GONE);
    taken.for_each(|slot| show(slot.key(), slot.entry()));
}

fn are_coprime(one: usize, other: usize) -> bool {
    let (mut one, mut other) = (one, other);
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one == 1
}

fn load(halves: &[AtomicU64; 2]) -> u128 {
    u128::from(halves[0].load(Ordering::Relaxed)) << 64 | u128::from(halves[1].load(Ordering::Relaxed))
}

fn store(halves: &[AtomicU64; 2], bits: u128) {
    halves[0].store((bits >> 64) as u64, Ordering::Relaxed);
    halves[1].store(bits as u64, Ordering::Relaxed);
}

/// The table. Writing methods take the writer's [`Count`].
pub(crate) struct Table {
    slots: Box<[Slot]>,
}

/// How many slots a table uses, gone ones included; whoever owns this may write.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) used: usize,
    pub(crate) living: usize,
}

impl Table {
    /// A table that `tokens` fit into.
    pub(crate) fn for_tokens(tokens: usize) -> Self {
        let slots = (tokens * 100 / START_PERCENT).max(SLOTS_MIN);
        Self { slots: (0..slots).map(|_| Slot::empty()).collect() }
    }

    /// Lets the processor fetch the first slot of a search while the caller goes on. To read it would not do: what comes
    /// after a read that has to wait piles up behind it.
    pub(crate) fn fetch(&self, key: Key) {
        prefetch_index(&self.slots, self.home(key));
    }

    /// Finds a token.
    pub(crate) fn find(&self, key: Key) -> Option<&Slot> {
        let mut at = self.home(key);
        loop {
            let slot = &self.slots[at];
            // Acquire: what was written before the key is seen after it.
            match slot.first.load(Ordering::Acquire) {
                EMPTY => return None,
                first if first == key.0 && slot.second.load(Ordering::Relaxed) == key.1 => return Some(slot),
                _ => at = self.after(at),
            }
        }
    }

    /// Adds a token, or changes the one that is there. There must be room.
    pub(crate) fn put(&self, count: &mut Count, key: Key, entry: &Entry) {
        if let Some(slot) = self.find(key) {
            slot.fill(entry);
            return;
        }
        let slot = self.free(key);
        slot.fill(entry);
        slot.second.store(key.1, Ordering::Release);
        slot.first.store(key.0, Ordering::Release);
        count.used += 1;
        count.living += 1;
    }

    /// Takes a token out.
    pub(crate) fn remove(&self, count: &mut Count, key: Key) {
        if let Some(slot) = self.find(key) {
            slot.first.store(GONE, Ordering::Release);
            count.living -= 1;
        }
    }

    /// Takes out the token with this id, wherever it is: for a token whose row cannot be believed any more, so that its
    /// digest is not known either.
    pub(crate) fn remove_by_id(&self, count: &mut Count, id: TokenId) {
        for slot in &self.slots {
            if slot.first.load(Ordering::Acquire) > GONE && slot.entry().id == id {
                slot.first.store(GONE, Ordering::Release);
                count.living -= 1;
            }
        }
    }

    /// Shows every token, in the order of the slots.
    pub(crate) fn each(&self, show: impl FnMut(Key, Entry)) {
        shown(self.slots.iter(), show);
    }

    /// Shows every token, from here and there: to whoever fills another table from nothing. In the order of the slots all
    /// of them would crowd at its front, where each looks for room behind all that came before.
    pub(crate) fn each_scattered(&self, show: impl FnMut(Key, Entry)) {
        let len = self.slots.len();
        // The golden ratio: whatever share of them was shown, it lies evenly.
        let stride = (len * 618_034 / 1_000_000..).find(|stride| are_coprime(*stride, len)).unwrap_or(1);
        let next = |at: &usize| Some((at + stride) % len);
        shown(std::iter::successors(Some(0), next).take(len).map(|at| &self.slots[at]), show);
    }

    /// The larger table to go on with, if this one has no room for another token.
    pub(crate) fn outgrown(&self, count: &mut Count) -> Option<Self> {
        if (count.used + 1) * 100 <= self.slots.len() * FULL_PERCENT {
            return None;
        }
        // Where half is gone, the same size will do.
        let crowded = count.living * 2 > count.used;
        let growth = if self.slots.len() < SMALL_SLOTS { GROWTH_PERCENT_WHEN_SMALL } else { GROWTH_PERCENT };
        let slots = if crowded { self.slots.len() * growth / 100 + 1 } else { self.slots.len() };
        let larger = Self { slots: (0..slots).map(|_| Slot::empty()).collect() };
        let mut fresh = Count::default();
        for slot in self.slots.iter().filter(|slot| slot.first.load(Ordering::Acquire) > GONE) {
            larger.put(&mut fresh, slot.key(), &slot.entry());
            if let Some(moved) = larger.find(slot.key()) {
                moved.used_at.store(slot.used_at.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        *count = fresh;
        Some(larger)
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        std::mem::size_of_val(&*self.slots)
    }

    fn free(&self, key: Key) -> &Slot {
        let mut at = self.home(key);
        while self.slots[at].first.load(Ordering::Acquire) != EMPTY {
            at = self.after(at);
        }
        &self.slots[at]
    }

    /// Where a search starts: the key's place in proportion, which wants no power of two.
    fn home(&self, key: Key) -> usize {
        ((u128::from(key.0) * self.slots.len() as u128) >> 64) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn entry(number: u32) -> Entry {
        let id = TokenId::from_bits(u128::from(number) << 70 | u128::from(number));
        Entry {
            id,
            user: UserId::from_bits(u128::from(number) << 65),
            owner: number,
            grant: !number,
            expires: number,
        }
    }

    fn key(number: u32) -> Key {
        Key::of(&Digest::of(&number.to_be_bytes()))
    }

    #[test]
    fn a_slot_is_one_cache_line() {
        assert_eq!((size_of::<Slot>(), align_of::<Slot>()), (64, 64));
    }

    fn filled(tokens: impl IntoIterator<Item = (Key, Entry)>) -> Table {
        let (mut table, mut count) = (Table::for_tokens(0), Count::default());
        for (key, entry) in tokens {
            if let Some(larger) = table.outgrown(&mut count) {
                table = larger;
            }
            table.put(&mut count, key, &entry);
        }
        table
    }

    fn longest_run(table: &Table) -> usize {
        let used = |slot: &Slot| slot.first.load(Ordering::Relaxed) != EMPTY;
        let runs = table.slots.split(|slot| !used(slot));
        runs.map(<[Slot]>::len).max().unwrap_or_default()
    }

    /// A million tokens took minutes to come back from the disk in the order of their slots.
    #[test]
    fn what_one_table_shows_does_not_crowd_another_while_it_is_filled() {
        let whole = filled((0..20_000).map(|number| (key(number), entry(number))));
        let (mut scattered, mut ordered) = (Vec::new(), Vec::new());
        whole.each_scattered(|key, entry| scattered.push((key, entry)));
        whole.each(|key, entry| ordered.push((key, entry)));
        for part in 1..=20 {
            let run = longest_run(&filled(scattered.iter().copied().take(part * 1000)));
            assert!(run < 200, "{run} in a row after {part} thousand");
        }
        assert!(longest_run(&filled(ordered.iter().copied().take(10_000))) > 5_000, "the control");
        let all: HashMap<_, _> = scattered.into_iter().map(|(key, entry)| (key.to_bytes(), entry)).collect();
        assert_eq!(all.len(), 20_000);
        assert!(ordered.iter().all(|(key, entry)| all.get(&key.to_bytes()) == Some(entry)));
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0..200_u32, 0..3_u8), 1..4000)) {
            let mut table = Table { slots: (0..16).map(|_| Slot::empty()).collect() };
            let (mut count, mut map) = (Count::default(), HashMap::new());
            for (number, step) in steps {
                match step {
                    0 | 1 => {
                        if let Some(larger) = table.outgrown(&mut count) {
                            table = larger;
                        }
                        table.put(&mut count, key(number), &entry(number + u32::from(step)));
                        map.insert(number, entry(number + u32::from(step)));
                    }
                    _ => {
                        table.remove(&mut count, key(number));
                        map.remove(&number);
                    }
                }
                prop_assert_eq!(count.living, map.len());
            }
            for number in 0..200 {
                prop_assert_eq!(table.find(key(number)).map(Slot::entry), map.get(&number).copied());
            }
        }
    }
}
