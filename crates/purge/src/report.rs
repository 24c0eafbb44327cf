//! What came of a purge, node by node.

use std::time::Duration;

use http::StatusCode;

use crate::Node;

/// One outcome for every node of the target, in the target's order.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Report {
    pub outcomes: Vec<Outcome>,
}

/// What one node made of the purge.
#[derive(Debug)]
pub struct Outcome {
    #[expect(missing_docs, reason = "the type says it")]
    pub node: Node,
    /// How many objects the node says it purged, or `None` if it did it without counting. An object that carries
    /// several of the purged keys is counted for each.
    pub result: Result<Option<u64>, Miss>,
}

/// Why a node may still serve what should be gone. The message is for the owner of the service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    #[expect(missing_docs, reason = "the message says it")]
    #[error("did not answer within {0:?}")]
    Late(Duration),
    #[expect(missing_docs, reason = "the message says it")]
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It was reached, and the connection broke before an answer was complete.
    #[error("broke off: {0}")]
    Broken(String),
    /// Keygate's address is not in the node's list of purgers.
    #[error("answered 403: is this Keygate in its keygate-purgers.vcl?")]
    Forbidden,
    #[expect(missing_docs, reason = "the message says it")]
    #[error("answered {0}")]
    Status(StatusCode),
    /// The answer is a 200 that `keygate.vcl` did not write: whoever wrote it need not have purged anything.
    #[error("answered 200, but not as keygate.vcl does: is it included?")]
    Stranger,
}

impl Report {
    /// The nodes that may still serve what should be gone.
    pub fn failed(&self) -> impl Iterator<Item = (&Node, &Miss)> {
        self.outcomes.iter().filter_map(|outcome| Some((&outcome.node, outcome.result.as_ref().err()?)))
    }
}
