//! `keygate explain`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{client::Remote, output};

#[derive(Args)]
pub(super) struct Explain {
    /// The id of a refusal: `X-Authz-Id`, or `id` in its body
    #[arg(allow_hyphen_values = true)]
    id: String,
    #[command(flatten)]
    remote: Remote,
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.remote.open()?;
        let id = form_urlencoded::byte_serialize(self.id.as_bytes()).collect::<String>();
        let found = client.get(&format!("/denials/{id}"))?;
        if self.remote.json {
            output::pretty(&found);
            return Ok(ExitCode::SUCCESS);
        }
        let text = |place: &str| match found.pointer(place) {
            None | Some(Value::Null) => "-".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        output::fields(&[
            ("Refused at", text("/at")),
            ("Why", text("/code")),
            ("Rule", text("/rule")),
            ("Value", text("/value")),
            ("Would have passed with", text("/grant")),
            ("Route", text("/route")),
            ("Action", text("/action")),
            ("Token", format!("{} ({})", text("/token/name"), text("/token/id"))),
        ]);
        Ok(ExitCode::SUCCESS)
    }
}
