//! Marks of use: one atomic store on the request, and now and then a note in a bounded queue. Never waits; what does not
//! fit is counted and lost, which marks may be.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use crossbeam_queue::ArrayQueue;
use keygate_model::{Timestamp, TokenId};

/// How long a token's last note stands for further uses.
const NOTE_EVERY_SECONDS: u32 = 30;

/// How many notes wait at most for the next flush.
const NOTES_MAX: usize = 65_536;

/// The longest user agent that is noted, in bytes.
const USER_AGENT_LEN_MAX: usize = 255;

/// Who is calling, as far as the connection tells.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The address. None: nobody knows.
    pub ip: Option<IpAddr>,
    /// What it calls itself.
    pub user_agent: &'a str,
}

/// A use that was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Of which token.
    pub token: TokenId,
    /// When.
    pub at: Timestamp,
    /// From where, as far as is known.
    pub ip: Option<IpAddr>,
    /// By what.
    pub user_agent: Box<str>,
}

/// The notes that wait.
pub(crate) struct Usage {
    notes: ArrayQueue<Mark>,
    lost: AtomicU64,
}

impl Usage {
    pub(crate) fn new() -> Self {
        Self { notes: ArrayQueue::new(NOTES_MAX), lost: AtomicU64::new(0) }
    }

    /// Notes a use, unless the last note is recent.
    pub(crate) fn mark(&self, used_at: &AtomicU32, token: TokenId, now: Timestamp, client: Client<'_>) {
        let second = u32::try_from(now.seconds()).unwrap_or(u32::MAX);
        if second.saturating_sub(used_at.load(Ordering::Relaxed)) < NOTE_EVERY_SECONDS {
            return;
        }
        used_at.store(second, Ordering::Relaxed);
        if self.notes.is_full() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let user_agent = client.user_agent;
        let end = user_agent.floor_char_boundary(USER_AGENT_LEN_MAX.min(user_agent.len()));
        let mark = Mark { token, at: now, ip: client.ip, user_agent: user_agent[..end].into() };
        if self.notes.push(mark).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes the notes that wait, the oldest first, `most` at most.
    pub(crate) fn take(&self, most: usize) -> Vec<Mark> {
        std::iter::from_fn(|| self.notes.pop()).take(most).collect()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
