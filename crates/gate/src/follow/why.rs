//! Why following a node has ended.

use keygate_model::Position;

use crate::wire::Bad;

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// No connection.
    #[error("no connection: {0}")]
    Unreachable(std::io::Error),
    /// The connection ended, or was no HTTP.
    #[error("the connection failed: {0}")]
    Line(#[from] hyper::Error),
    /// Nothing was heard for too long.
    #[error("nothing was heard for too long")]
    Silent,
    /// The node does not serve the feed to this gate.
    #[error("the node refuses: {status} {code}")]
    Refused {
        /// The status.
        status: u16,
        /// The word with it.
        code: String,
    },
    /// The node, or what it says, is behind what was applied.
    #[error(
        "the node is behind: what is held is at {held:?}, in epoch {epoch}; a restored backup, or a lost fail-over?"
    )]
    Behind {
        /// What was applied.
        held: Position,
        /// In which epoch.
        epoch: u64,
    },
    /// The node wants a newer reader.
    #[error("the node speaks to readers of version {0} at least: update this gate")]
    TooOld(u32),
    /// Something was left out.
    #[error("what comes next goes on from {after:?}, and what is held is at {held:?}")]
    Gap {
        /// From where it goes on.
        after: Position,
        /// What is held.
        held: Position,
    },
    /// What is held is not what the node holds.
    #[error("at {at:?} the replica is not what the node's is")]
    Differs {
        /// Where.
        at: Position,
    },
    /// Something in the wrong place.
    #[error("the node said something that has no place there")]
    Unexpected,
    /// Something that cannot be read.
    #[error("{0}")]
    Bad(#[from] Bad),
    /// The node has ended it.
    #[error("the node has ended it: {0}")]
    Ended(String),
}

impl Why {
    /// A stable word for it, for metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        Self::CODES[self.place()]
    }

    /// All words.
    pub const CODES: [&'static str; 9] =
        ["unreachable", "silent", "refused", "behind", "too_old", "gap", "differs", "unreadable", "ended"];

    /// Whether everything must be told anew after it.
    pub(super) fn spoils(&self) -> bool {
        matches!(self, Self::Gap { .. } | Self::Differs { .. } | Self::Unexpected | Self::Bad(_))
    }

    pub(super) fn place(&self) -> usize {
        match self {
            Self::Unreachable(_) | Self::Line(_) => 0,
            Self::Silent => 1,
            Self::Refused { .. } => 2,
            Self::Behind { .. } => 3,
            Self::TooOld(_) => 4,
            Self::Gap { .. } => 5,
            Self::Differs { .. } => 6,
            Self::Unexpected | Self::Bad(_) => 7,
            Self::Ended(_) => 8,
        }
    }
}
