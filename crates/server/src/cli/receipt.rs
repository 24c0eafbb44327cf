//! `keygate receipt`: what proves that a revoke is enforced.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use keygate_authority::signer::read_receipt;
use serde_json::Value;

use super::{
    client::{Remote, credentials::Credentials},
    output,
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Check a receipt's signature, and show what it says; status 1 if it proves nothing
    #[command(
        after_help = "Example:\n  keygate token revoke ID --wait --receipt revoked.jwt\n  keygate receipt verify revoked.jwt\n\nYears \
                      later and without the server, with the keys that were kept:\n  curl https://api.example.com/.well-known/jwks.json > keys.json\n  \
                      keygate receipt verify revoked.jwt --keys keys.json"
    )]
    Verify(Verify),
}

#[derive(Args)]
pub(super) struct Verify {
    /// The receipt: the answer's `receipt`, in a file of its own
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The server's keys, a JWK set [default: asked of the server]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Verify(verify) = self;
        let keys = verify.keys()?;
        let text = std::fs::read_to_string(&verify.file)
            .with_context(|| format!("{} cannot be read", verify.file.display()))?;
        let mut receipts = text.split_whitespace().peekable();
        if receipts.peek().is_none() {
            bail!("{} is empty: the receipt is the member `receipt` of the answer", verify.file.display());
        }
        let mut code = ExitCode::SUCCESS;
        for receipt in receipts {
            match read_receipt(receipt, &keys) {
                Ok(claims) => show(&serde_json::from_slice(&claims)?, verify.remote.json),
                Err(why) => {
                    output::note(format_args!("The receipt proves nothing: {why}."));
                    code = ExitCode::from(1);
                }
            }
        }
        Ok(code)
    }
}

impl Verify {
    /// The keys, each by its name and its public half.
    fn keys(&self) -> anyhow::Result<Vec<(String, String)>> {
        let set: Value = match &self.keys {
            Some(path) => {
                let text =
                    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
                serde_json::from_slice(&text).with_context(|| format!("{} is no JWK set", path.display()))?
            }
            None => self.remote.open_with(&Credentials::load()?, None)?.get("/.well-known/jwks.json")?,
        };
        let text = |key: &Value, name: &str| key[name].as_str().map(str::to_owned);
        let keys = set["keys"].as_array().into_iter().flatten();
        Ok(keys.filter_map(|key| Some((text(key, "kid")?, text(key, "x")?))).collect())
    }
}

fn show(claims: &Value, json: bool) {
    if json {
        output::pretty(claims);
        return;
    }
    let text = |name: &str| claims[name].as_str().map_or_else(|| claims[name].to_string(), output::clean);
    let tokens = claims["tokens"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let revoked = match claims["mass_revoke"].as_str() {
        Some(id) => format!("{}, by the mass revoke {}", text("tokens_revoked"), output::clean(id)),
        None => tokens.map(output::clean).collect::<Vec<_>>().join(" "),
    };
    output::fields(&[
        ("tokens", revoked),
        ("revoked at position", text("position")),
        ("enforced everywhere by", text("at")),
        ("after", format!("{} ms", text("milliseconds"))),
        ("told by", text("issuer")),
    ]);
    gates(claims);
    output::line("The signature is right.");
}

/// How it stands with each gate.
pub(super) fn gates(claims: &Value) {
    let gates = claims["gates"].as_array().cloned().unwrap_or_default();
    if gates.is_empty() {
        return;
    }
    output::table(
        &["gate", "state", "position", "milliseconds"],
        gates.iter().map(|gate| {
            let text = |name: &str| gate[name].as_str().map_or_else(|| gate[name].to_string(), output::clean);
            let time = if gate["milliseconds"].is_null() { "at_most_milliseconds" } else { "milliseconds" };
            vec![text("name"), text("state").replace('_', " "), text("position"), text(time)]
        }),
    );
}
