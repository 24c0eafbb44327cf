//! `keygate automation-token`: tokens that belong to the account and not to a person (CONTRACT §10).

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    client::{self, Client, Refusal, Remote, sudo::Sudo},
    output, token,
};

/// How many are asked for at once.
const PAGE: u32 = 100;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make an automation token; its secret is printed once
    #[command(
        after_help = "Example:\n  keygate automation-token create --name ci --role engineer --scope purge_all \\\n    \
                      --service ID --expires 90d"
    )]
    Create(Create),
    /// The account's automation tokens
    #[command(after_help = "Example:\n  keygate automation-token list")]
    List(List),
    /// One automation token
    #[command(after_help = "Example:\n  keygate automation-token show 2j1hEyxXOEqYaSipeZHaW4 --json")]
    Show(Show),
    /// Revoke automation tokens, at once and for good
    #[command(after_help = "Example:\n  keygate automation-token revoke 2j1hEyxXOEqYaSipeZHaW4")]
    Revoke(token::Revoke),
}

#[derive(Args)]
pub(super) struct Create {
    #[command(flatten)]
    wanted: token::Wanted,
    /// What it may do at most: engineer, billing or user
    #[arg(long)]
    role: Option<String>,
    /// Let it manage TLS
    #[arg(long)]
    tls_access: bool,
    #[command(flatten)]
    sudo: Sudo,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(super) struct Show {
    /// Which
    #[arg(value_parser = client::id)]
    id: String,
    #[command(flatten)]
    remote: Remote,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create(create) => create.run(),
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
            Self::Revoke(revoke) => return revoke.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    fn run(self) -> anyhow::Result<()> {
        let client = self.remote.open()?;
        let mut body = self.wanted.body()?;
        if let Some(role) = &self.role {
            body.insert("role".to_owned(), json!(role));
        }
        if self.tls_access {
            body.insert("tls_access".to_owned(), json!(true));
        }
        let made = self.sudo.post(&client, "/automation-tokens", &body.into())?;
        self.wanted.tell(&self.remote, &made);
        Ok(())
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let client = self.remote.open()?;
        let all = pages(&client)?;
        if self.remote.json {
            output::pretty(&all);
        } else {
            token::list(&client, all["data"].as_array().map_or(&[], Vec::as_slice));
        }
        Ok(())
    }
}

impl Show {
    fn run(self) -> anyhow::Result<()> {
        let client = self.remote.open()?;
        let token = client.get(&format!("/automation-tokens/{}", self.id))?;
        if self.remote.json {
            output::pretty(&token);
        } else {
            token::show(&client, &token);
        }
        Ok(())
    }
}

/// All pages as one: the last one's `meta`, and everything in `data`.
fn pages(client: &Client) -> Result<Value, Refusal> {
    let mut data = Vec::new();
    let mut number = 1;
    loop {
        let mut page = client.get(&format!("/automation-tokens?page={number}&per_page={PAGE}"))?;
        if let Some(Value::Array(items)) = page.get_mut("data").map(Value::take) {
            data.extend(items);
        }
        let pages = page.pointer("/meta/total_pages").and_then(Value::as_u64).unwrap_or(1);
        if number >= pages {
            page["data"] = data.into();
            return Ok(page);
        }
        number += 1;
    }
}
