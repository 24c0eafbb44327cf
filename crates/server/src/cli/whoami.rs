//! `keygate whoami`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{client::Remote, output, when};

#[derive(Args)]
pub(super) struct Whoami {
    #[command(flatten)]
    remote: Remote,
}

impl Whoami {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.remote.open()?;
        let me = client.get("/verify")?;
        if self.remote.json {
            output::pretty(&me);
            return Ok(ExitCode::SUCCESS);
        }
        let text = |place: &str| me.pointer(place).and_then(Value::as_str).unwrap_or("-");
        let services = match &me["services"] {
            Value::Object(services) if services.is_empty() => "none".to_owned(),
            Value::Object(services) => {
                services.values().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
            }
            _ => "not to be seen with this token".to_owned(),
        };
        let expires = me.pointer("/token/expires_at").and_then(Value::as_str);
        output::fields(&[
            ("server", client.address.to_string()),
            ("who", format!("{} <{}>, {}", text("/user/name"), text("/user/login"), text("/user/role"))),
            ("customer", format!("{} ({})", text("/customer/name"), text("/customer/id"))),
            ("token", format!("{} ({})", text("/token/name"), text("/token/id"))),
            ("scope", text("/token/scope").to_owned()),
            ("expires", expires.map_or_else(|| "never".to_owned(), |at| when::relative(at, when::now()))),
            ("services", services),
        ]);
        Ok(ExitCode::SUCCESS)
    }
}
