//! `keygate policy apply`, `remove` and `diff`.

use std::process::ExitCode;

use clap::Args;
use keygate_authority::policy::{Impact, Moved};
use keygate_model::{PolicyId, Timestamp};
use serde_json::{Value, json};

use super::PolicyFile;
use crate::cli::{Database, Desk, Shown, output};

/// How many days back a use makes a token one that somebody will miss.
const RECENT_DAYS: i64 = 30;

/// How many tokens a list names.
const LISTED_MAX: usize = 20;

#[derive(Args)]
pub(in crate::cli) struct Apply {
    #[command(flatten)]
    file: PolicyFile,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
pub(in crate::cli) struct Remove {
    /// The policy's name
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
pub(in crate::cli) struct Diff {
    #[command(flatten)]
    file: PolicyFile,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

impl Apply {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let text = self.file.read()?;
        let Desk { authority, rng, origin } = self.database.open()?;
        let impact = authority.policy_impact(None, Some(text.clone()), origin.now).await?;
        if !consent(&impact, origin.now, self.yes, &self.shown)? {
            return Ok(ExitCode::from(1));
        }
        let id = PolicyId::from_bytes(rng.bytes()?);
        let policy = authority.apply_policy(&origin, id, text).await?;
        if self.shown.json {
            output::json(&json!({ "id": policy.id, "name": policy.name, "impact": as_json(&impact) }));
        } else {
            output::line(format_args!("Policy {} is in force.", policy.name));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Remove {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Desk { authority, origin, .. } = self.database.open()?;
        let impact = authority.policy_impact(Some(&self.name), None, origin.now).await?;
        if !consent(&impact, origin.now, self.yes, &self.shown)? {
            return Ok(ExitCode::from(1));
        }
        let policy = authority.remove_policy(&origin, &self.name).await?;
        if self.shown.json {
            output::json(&json!({ "id": policy.id, "name": policy.name, "impact": as_json(&impact) }));
        } else {
            output::line(format_args!(
                "Policy {} is taken back: everything at its hosts is denied.",
                policy.name
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Diff {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Desk { authority, origin, .. } = self.database.open()?;
        let impact = authority.policy_impact(None, Some(self.file.read()?), origin.now).await?;
        if self.shown.json {
            output::json(&as_json(&impact));
        } else {
            show(&impact);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Says what will change, and asks if somebody will miss something. With no terminal to ask at, that is a no.
fn consent(impact: &Impact, now: Timestamp, yes: bool, shown: &Shown) -> anyhow::Result<bool> {
    if !shown.json {
        show(impact);
    }
    let since = Timestamp::from_seconds(now.seconds() - RECENT_DAYS * 86_400);
    let missed = impact.losing.iter().filter(|token| token.used_at.is_some_and(|at| at > since)).count();
    if missed == 0 || yes {
        return Ok(true);
    }
    output::note(format_args!(
        "{missed} of the tokens that lose something were used in the last {RECENT_DAYS} days."
    ));
    Ok(output::agreed("Go on?", shown.json)?)
}

fn show(impact: &Impact) {
    for (what, routes) in [("new", &impact.added), ("gone", &impact.removed), ("changed", &impact.changed)] {
        for route in routes {
            output::line(format_args!("{what:8} {}", output::clean(route)));
        }
    }
    if impact.added.is_empty() && impact.removed.is_empty() && impact.changed.is_empty() {
        output::line("No route changes.");
    }
    tokens("lose", &impact.losing);
    tokens("gain", &impact.gaining);
}

fn tokens(verb: &str, moved: &[Moved]) {
    if moved.is_empty() {
        output::line(format_args!("No token would {verb} anything."));
        return;
    }
    output::line(format_args!("\n{} would {verb} routes:", output::counted(moved.len(), "token")));
    let rows = moved.iter().take(LISTED_MAX).map(|token| {
        let used = token.used_at.map_or_else(|| "never".to_owned(), crate::json::time);
        let routes = match token.routes.as_slice() {
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
            [] => String::new(),
        };
        vec![
            token.token.to_string(),
            token.name.clone(),
            token.scope.clone(),
            token.role.clone(),
            used,
            routes,
        ]
    });
    output::list(&["TOKEN", "NAME", "SCOPE", "ROLE", "LAST USED", "ROUTES"], rows);
    if moved.len() > LISTED_MAX {
        output::line(format_args!("… and {} more; --json lists all.", moved.len() - LISTED_MAX));
    }
}

fn as_json(impact: &Impact) -> Value {
    let tokens = |moved: &[Moved]| -> Vec<Value> {
        let one = |token: &Moved| {
            json!({
                "id": token.token, "name": token.name, "scope": token.scope, "role": token.role,
                "last_used_at": token.used_at.map(crate::json::time), "routes": token.routes,
            })
        };
        moved.iter().map(one).collect()
    };
    json!({
        "name": impact.name, "added": impact.added, "removed": impact.removed, "changed": impact.changed,
        "losing": tokens(&impact.losing), "gaining": tokens(&impact.gaining),
    })
}
