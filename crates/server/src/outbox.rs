//! The outbox: one-time links on their way to people. A file to which whoever sends them looks; mail is not Keygate's yet.
//!
//! A letter is written after its change is committed, and its code stands nowhere else.

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use keygate_authority::{invitation, user::Reset};
use serde_json::json;
use zeroize::Zeroizing;

use crate::json::time;

/// Where letters go.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Option<PathBuf>);

/// A link for somebody. Not to be printed.
pub struct Letter {
    kind: &'static str,
    to: String,
    line: Zeroizing<String>,
}

impl Outbox {
    /// An outbox that appends a line of JSON for each letter to this file; to nowhere without one.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Self {
        Self(file)
    }

    /// Puts a letter in. If that fails the change stands: the link can be asked for again.
    pub(crate) async fn put(&self, letter: Letter) {
        let Letter { kind, to, line } = letter;
        let Some(file) = self.0.clone() else {
            tracing::warn!(kind, to, "a link was made and there is no outbox: name one in the configuration");
            return;
        };
        let written = tokio::task::spawn_blocking(move || append(&file, &line)).await;
        if let Ok(Err(why)) = written {
            tracing::error!(error = %why, kind, to, "a letter could not be put into the outbox; ask for the link again");
        }
    }
}

fn append(file: &PathBuf, line: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    file.write_all(line.as_bytes())?;
    file.sync_data()
}

impl Letter {
    /// A link that sets a new password.
    pub(crate) fn password_reset(reset: Reset) -> Self {
        let Reset { login, code, until } = reset;
        Self::new("password_reset", login.to_string(), &code.reveal(), &time(until))
    }

    /// A link that accepts an invitation.
    pub(crate) fn invitation(sent: invitation::Sent) -> Self {
        let invitation::Sent { row, code } = sent;
        Self::new("invitation", row.email.to_string(), &code.reveal(), &time(row.expires_at))
    }

    fn new(kind: &'static str, to: String, code: &str, expires_at: &str) -> Self {
        let line = json!({ "kind": kind, "to": to, "code": code, "expires_at": expires_at });
        Self { kind, to, line: Zeroizing::new(format!("{line}\n")) }
    }
}
