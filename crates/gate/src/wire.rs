//! What nodes and gates say to each other: frames with a kind and a length, most of them with records in them.
//!
//! A gate may be older than the node that it follows. What it does not know of a record may be what restricts, so every
//! record says what it is about in a way that stays, and one that is not wholly understood is told as
//! [`Record::Broken`](keygate_model::Record::Broken): nothing is believed of that thing, and nothing else suffers. Only
//! whoever writes a record can say that what an older reader misses in it restricts nothing.
//!
//! Secrets are never among what is told; of them there are digests.

mod frame;
mod record;

pub use frame::{Bad, Beat, Check, End, Frame, Frames, Head, Hello, PART_LEN, RECORDS_MAX, Stage, part};
pub use record::{encode, subject_of};

/// The version that is spoken here.
pub const VERSION: u32 = 1;

/// How often a node says that nothing else was to be said, in milliseconds.
pub const BEAT_MS: u32 = 1000;

#[cfg(test)]
mod tests;
