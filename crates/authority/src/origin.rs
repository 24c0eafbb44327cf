//! Where and when something was asked for. Comes in with every verb, ends up in its event.

use keygate_model::Timestamp;

/// Where and when.
#[derive(Clone, Debug)]
pub struct Origin {
    /// When the request came in.
    pub now: Timestamp,
    /// The client's address, or `local` for the command line.
    pub ip: String,
    /// The id that the answer and the log carry too.
    pub request_id: String,
}

impl Origin {
    /// The command line, now.
    #[must_use]
    pub fn local(now: Timestamp) -> Self {
        Self { now, ip: "local".to_owned(), request_id: "local".to_owned() }
    }
}
