//! What the replica keeps of owners and customers in a word each, and how it hashes ids.

use std::{
    hash::{BuildHasherDefault, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

/// Whom a token is bound to, as one word, so that the owners of a hundred thousand tokens stay in the cache: the place
/// of the customer in the upper half, then what sets the owner apart, the number of the role, the state.
#[derive(Default)]
pub(crate) struct OwnerEntry(AtomicU64);

/// The word, taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerWord {
    pub(crate) customer: u32,
    pub(crate) flags: u8,
    pub(crate) role: u16,
    pub(crate) state: u8,
}

impl OwnerEntry {
    pub(crate) fn load(&self) -> OwnerWord {
        let word = self.0.load(Ordering::Acquire);
        OwnerWord {
            customer: (word >> 32) as u32,
            flags: (word >> 24) as u8,
            role: (word >> 8) as u16,
            state: word as u8,
        }
    }

    pub(crate) fn store(&self, word: OwnerWord) {
        self.0.store(word.pack(), Ordering::Release);
    }
}

impl OwnerWord {
    fn pack(self) -> u64 {
        u64::from(self.customer) << 32
            | u64::from(self.flags) << 24
            | u64::from(self.role) << 8
            | u64::from(self.state)
    }
}

/// States of owners and customers as bytes. Zero: named by somebody, and not yet told of, or not to be believed.
pub(crate) const UNKNOWN: u8 = 0;
pub(crate) const ACTIVE: u8 = 1;
pub(crate) const LOCKED: u8 = 2;
pub(crate) const DELETED: u8 = 3;

/// In a customer's state: it has made rules.
pub(crate) const RULED: u8 = 0x80;

/// In an owner's flags: they are limited to services.
pub(crate) const REACH_LIMITED: u8 = 1;

/// In an owner's flags: a person without a second factor.
pub(crate) const WITHOUT_FACTOR: u8 = 2;

/// Hashes ids, which are random already, by taking half of them.
pub(crate) type IdHash = BuildHasherDefault<IdHasher>;

#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, bits: u128) {
        self.0 = bits as u64 ^ (bits >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
