//! Sudo: what makes tokens asks for the password again, and is tried once more.

use clap::Args;
use serde_json::{Value, json};

use super::{Client, Refusal, secret::Ask};

/// How the server says that it wants sudo first (CONTRACT §0.4).
const WANTED: &str = "You must POST /sudo to access this endpoint";

/// Where the password for sudo comes from.
#[derive(Args)]
pub(in crate::cli) struct Sudo {
    /// Read the password from standard input, should it be asked for
    #[arg(long)]
    password_stdin: bool,
}

impl Sudo {
    /// Sends this; if the server wants sudo first, starts it and sends this once more.
    pub(in crate::cli) fn post(&self, client: &Client, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut answer = client.post(path, body)?;
        if answer.status == 403 && answer.msg() == WANTED {
            self.start(client)?;
            answer = client.post(path, body)?;
        }
        Ok(answer.document(client)?)
    }

    fn start(&self, client: &Client) -> anyhow::Result<()> {
        let password = Ask::new(self.password_stdin).secret("Password")?;
        let answer = client.post("/sudo", &json!({ "password": *password }))?;
        let refused = |what: &str| Err::<(), Refusal>(answer.refusal(client).in_words(what));
        match (answer.status, answer.text("code")) {
            (200, _) => {}
            (403, "login_failed") => refused("The password is not yours; nothing was made")?,
            (403, "otp_required") => refused(
                "This token was made without a one-time code, so it cannot make others; run `keygate login`",
            )?,
            _ => return Err(answer.refusal(client).into()),
        }
        Ok(())
    }
}
