//! `keygate token`.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::Context as _;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    client::{self, Client, Remote, sudo::Sudo},
    mass_revoke, output, receipt,
    when::{self, When},
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a token; its secret is printed once
    #[command(
        after_help = "Example:\n  keygate token create --name deploy --scope purge_select --service ID --expires 30d\n  \
                      export FASTLY_API_TOKEN=$(keygate token create --name deploy --quiet)"
    )]
    Create(Create),
    /// Your tokens, or those of everybody
    #[command(after_help = "Example:\n  keygate token list\n  keygate token list --all --json")]
    List(List),
    /// One token, or the one that asks
    #[command(after_help = "Example:\n  keygate token show 2j1hEyxXOEqYaSipeZHaW4\n  keygate token show")]
    Show(Show),
    /// Revoke tokens, at once and for good
    #[command(
        after_help = "Example:\n  keygate token revoke 2j1hEyxXOEqYaSipeZHaW4\n\nThe same, done when no gate lets it in any more, with the proof:\n  keygate token revoke 2j1hEyxXOEqYaSipeZHaW4 --wait --receipt revoked.jwt"
    )]
    Revoke(Revoke),
    /// Revoke all tokens of the account that fit, in one change; tells how many, and does it with --yes
    #[command(after_help = "Examples:\n  keygate token mass-revoke --name-prefix ci- --created-from 2h\n  \
                      keygate token mass-revoke --owner ID --yes --wait --receipt revoked.jwt\n  \
                      keygate token mass-revoke --all --keep-caller --yes")]
    MassRevoke(Box<mass_revoke::OverTheApi>),
    /// Take existing API keys over: they work as they are
    #[command(
        after_help = "Example:\n  keygate token import --customer ID --file keys.csv --dry-run\n\nA line of keys.csv, \
                      under its header:\n  name,owner,scope,services,expires_at,secret\n  \
                      deploy,role:engineer,global,,,3f1c0b…"
    )]
    Import(super::import::ImportKeys),
}

/// What every token is made with.
#[derive(Args)]
pub(super) struct Wanted {
    /// What it is called in lists
    #[arg(long)]
    name: String,
    /// What it may do: global, global:read, purge_select, purge_all; may be given several times [default: global]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A service that it is limited to; may be given several times [default: all]
    #[arg(long = "service", value_name = "ID", value_parser = client::id)]
    services: Vec<String>,
    /// When it ends, like 30d or 2027-01-31 [default: never]
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    expires: Option<When>,
    /// Print the secret alone, and no hints
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Args)]
pub(super) struct Create {
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    sudo: Sudo,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(super) struct List {
    /// Those of everybody in the account; for superusers
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(super) struct Show {
    /// Which [default: the one that asks]
    #[arg(default_value = "self", hide_default_value = true, value_parser = client::id)]
    id: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(super) struct Revoke {
    /// Which
    #[arg(required = true, value_name = "ID", value_parser = revoked)]
    ids: Vec<String>,
    /// Wait until no gate lets it in any more, for so many seconds at most; status 1 if one still may then
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "40",
          value_parser = clap::value_parser!(u16).range(0..=50))]
    wait: Option<u16>,
    /// Write the signed receipts here, a line each; waits
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// An id, and not the seconds of a `--wait` that stands before it.
fn revoked(text: &str) -> Result<String, String> {
    if text.len() <= 3 && text.parse::<u16>().is_ok() {
        return Err(format!("an id is longer; for how long to wait stands behind a =: --wait={text}"));
    }
    client::id(text)
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create(create) => create.run(),
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
            Self::Revoke(revoke) => return revoke.run(),
            Self::MassRevoke(revoke) => return revoke.run(),
            Self::Import(import) => return import.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    fn run(self) -> anyhow::Result<()> {
        let client = self.remote.open()?;
        let made = self.sudo.post(&client, "/tokens", &self.wanted.body()?.into())?;
        self.wanted.tell(&self.remote, &made);
        Ok(())
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let client = self.remote.open()?;
        let tokens = if self.all {
            let myself = client.get("/tokens/self")?;
            let customer = myself["customer_id"].as_str().unwrap_or_default();
            client.get(&format!("/customer/{customer}/tokens"))?
        } else {
            client.get("/tokens")?
        };
        if self.remote.json {
            output::pretty(&tokens);
        } else {
            list(&client, tokens.as_array().map_or(&[], Vec::as_slice));
        }
        Ok(())
    }
}

impl Show {
    fn run(self) -> anyhow::Result<()> {
        let client = self.remote.open()?;
        let token = client.get(&format!("/tokens/{}", self.id))?;
        if self.remote.json {
            output::pretty(&token);
        } else {
            show(&client, &token);
        }
        Ok(())
    }
}

impl Revoke {
    /// For tokens of both kinds: automation tokens are revoked at the same place (CONTRACT §7).
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.remote.open()?;
        if self.wait.is_some() || self.receipt.is_some() {
            return self.run_and_wait(&client);
        }
        for id in &self.ids {
            client.delete(&format!("/tokens/{id}"))?.done(&client)?;
            if !self.remote.json {
                output::line(format_args!("Token {id} is revoked."));
            }
        }
        if self.remote.json {
            output::pretty(&json!({ "revoked": self.ids }));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn run_and_wait(&self, client: &Client) -> anyhow::Result<ExitCode> {
        let (mut answers, mut receipts, mut all) = (Vec::new(), String::new(), true);
        for id in &self.ids {
            let wait = self.wait.unwrap_or(client::WAIT);
            let answer = client.delete_enforced(&format!("/tokens/{id}"), wait)?.document(client)?;
            let enforced = answer["enforced"].as_bool() == Some(true);
            all &= enforced;
            if let Some(receipt) = answer["receipt"].as_str() {
                receipts.push_str(&format!("{receipt}\n"));
            }
            if !self.remote.json {
                let milliseconds = &answer["milliseconds"];
                output::line(if enforced {
                    format!("Token {id} is revoked, and no gate lets it in any more: {milliseconds} ms.")
                } else {
                    format!(
                        "Token {id} is revoked, and after {milliseconds} ms some gate may still let it in."
                    )
                });
                receipt::gates(&answer);
            }
            answers.push(answer);
        }
        if self.remote.json {
            output::pretty(&json!({ "revoked": self.ids, "answers": answers }));
        }
        if let Some(path) = &self.receipt {
            std::fs::write(path, receipts)
                .with_context(|| format!("The receipts could not be written to {}", path.display()))?;
        }
        Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

impl Wanted {
    /// The fields that both kinds of tokens are made with.
    pub(super) fn body(&self) -> anyhow::Result<Map<String, Value>> {
        let mut body = Map::from_iter([("name".to_owned(), json!(self.name))]);
        if !self.scopes.is_empty() {
            body.insert("scope".to_owned(), json!(self.scopes.join(" ")));
        }
        if !self.services.is_empty() {
            body.insert("services".to_owned(), json!(self.services));
        }
        if let Some(expires) = &self.expires {
            body.insert("expires_at".to_owned(), json!(expires.ahead()?));
        }
        Ok(body)
    }

    /// The secret, alone on standard output.
    pub(super) fn tell(&self, remote: &Remote, made: &Value) {
        if remote.json {
            output::pretty(made);
        } else {
            output::line(text(made, "access_token"));
        }
        if !self.quiet {
            let (id, name) = (output::clean(text(made, "id")), output::clean(text(made, "name")));
            output::note(format_args!(
                "Token {id} was made: {name}. Its secret is shown this once; keep it safe."
            ));
        }
    }
}

/// A list of tokens of either kind.
pub(super) fn list(client: &Client, tokens: &[Value]) {
    if tokens.is_empty() {
        output::note("There are none.");
        return;
    }
    let names = names(client, tokens);
    let row = |token: &Value| {
        vec![
            text(token, "id").to_owned(),
            text(token, "name").to_owned(),
            scope(token),
            services(token, &names),
            time(token, "last_used_at", "never"),
            time(token, "expires_at", "never"),
        ]
    };
    output::list(&["ID", "NAME", "SCOPE", "SERVICES", "LAST USED", "EXPIRES"], tokens.iter().map(row));
}

/// One token of either kind.
pub(super) fn show(client: &Client, token: &Value) {
    let mut fields = vec![
        ("id", text(token, "id").to_owned()),
        ("name", text(token, "name").to_owned()),
        ("scope", scope(token)),
        ("services", services(token, &names(client, std::slice::from_ref(token)))),
        ("created", time(token, "created_at", "-")),
        ("expires", time(token, "expires_at", "never")),
        ("last used", time(token, "last_used_at", "never")),
    ];
    let others = [("role", "role"), ("user", "user_id"), ("used from", "ip"), ("used with", "user_agent")];
    let others = others.map(|(shown, name)| (shown, text(token, name).to_owned()));
    fields.extend(others.into_iter().filter(|(_, value)| !value.is_empty()));
    output::fields(&fields);
}

fn text<'a>(token: &'a Value, name: &str) -> &'a str {
    token[name].as_str().unwrap_or_default()
}

/// Some answers have `scope`, some `scopes`, one text or a list.
fn scope(token: &Value) -> String {
    match (&token["scope"], &token["scopes"]) {
        (Value::String(scope), _) | (_, Value::String(scope)) => scope.clone(),
        (_, Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        _ => "-".to_owned(),
    }
}

/// The names of services, if any token is limited to some.
fn names(client: &Client, tokens: &[Value]) -> BTreeMap<String, String> {
    let limited = tokens.iter().any(|token| token["services"].as_array().is_some_and(|ids| !ids.is_empty()));
    if limited { client.service_names() } else { BTreeMap::new() }
}

fn services(token: &Value, names: &BTreeMap<String, String>) -> String {
    let ids = token["services"].as_array().map_or(&[][..], Vec::as_slice);
    let named = ids.iter().filter_map(Value::as_str).map(|id| names.get(id).map_or(id, String::as_str));
    let named: Vec<_> = named.collect();
    if named.is_empty() { "all".to_owned() } else { named.join(", ") }
}

/// A time from now; empty text and null are both none (CONTRACT §10).
fn time(token: &Value, name: &str, none: &str) -> String {
    match text(token, name) {
        "" => none.to_owned(),
        at => when::relative(at, when::now()),
    }
}
