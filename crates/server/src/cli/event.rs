//! `keygate event`: the audit log, over the API.

mod export;
mod ocsf;
mod pages;
mod tail;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::pages::{Order, Pages};
use super::{
    client::{self, Remote},
    output,
    when::{self, When},
};

/// The most events that one request may bring.
const PAGE_MAX: usize = 1000;

#[derive(Subcommand)]
pub(super) enum Command {
    /// What happened, newest first
    #[command(
        after_help = "Example:\n  keygate event list --type token.create --since 7d\n  keygate event list --user ID --limit 500 --json"
    )]
    List(List),
    /// What happens: the last events, and each new one as it comes
    #[command(
        after_help = "Example:\n  keygate event tail\n  keygate event tail --type user.login_failure --json"
    )]
    Tail(tail::Tail),
    /// Everything, oldest first, as a file
    #[command(
        after_help = "Example:\n  keygate event export --format csv --since 2026-01-01 --output 2026.csv\n  \
                      keygate event export --format ocsf | gzip > events.ocsf.jsonl.gz"
    )]
    Export(export::Export),
}

/// Which events.
#[derive(Args)]
struct About {
    /// Of this type, like token.create
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// By or about this person
    #[arg(long, value_name = "ID", value_parser = client::id)]
    user: Option<String>,
    /// About this service
    #[arg(long, value_name = "ID", value_parser = client::id)]
    service: Option<String>,
    /// By or about this token
    #[arg(long, value_name = "ID", value_parser = client::id)]
    token: Option<String>,
}

/// From when to when.
#[derive(Args)]
struct Between {
    /// From this time on, like 7d (ago), 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    since: Option<When>,
    /// Before this time
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    until: Option<When>,
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    between: Between,
    /// The most events to show
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    remote: Remote,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.run(),
            Self::Tail(tail) => tail.run(),
            Self::Export(export) => export.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let client = self.remote.open()?;
        let limit = usize::try_from(self.limit)?;
        let mut query = self.about.query();
        query.extend(self.between.query()?);
        let mut pages = Pages::new(&client, &query, Order::NewestFirst, limit.min(PAGE_MAX));
        let mut events = Vec::new();
        while events.len() < limit
            && let Some(page) = pages.next()?
        {
            events.extend(page);
        }
        events.truncate(limit);
        let total = pages.total();
        if self.remote.json {
            output::pretty(&json!({ "data": events, "meta": { "record_count": total } }));
            return Ok(());
        }
        let row = |event: &Value| {
            let [at, kind, who, from, what] = columns(event);
            vec![at, kind, who, from, what]
        };
        output::list(&["WHEN (UTC)", "TYPE", "BY", "FROM", "WHAT"], events.iter().map(row));
        let shown = u64::try_from(events.len())?;
        if shown < total {
            output::note(format_args!(
                "{shown} of {total} events; --limit shows more, `keygate event export` all."
            ));
        }
        Ok(())
    }
}

impl About {
    fn query(&self) -> Vec<(&'static str, String)> {
        let given = [
            ("filter[event_type]", &self.kind),
            ("filter[user_id]", &self.user),
            ("filter[service_id]", &self.service),
            ("filter[token_id]", &self.token),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

impl Between {
    fn query(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let mut query = Vec::new();
        for (name, when) in
            [("filter[created_at][gte]", &self.since), ("filter[created_at][lt]", &self.until)]
        {
            if let Some(when) = when {
                query.push((name, when.back()?));
            }
        }
        Ok(query)
    }
}

/// What a person wants to see of an event: when, type, by whom, from where, what.
fn columns(event: &Value) -> [String; 5] {
    let text = |name| attribute(event, name);
    let who = match (text("actor"), text("user_id")) {
        ("person", user) if !user.is_empty() => format!("user {user}"),
        (actor, _) => actor.to_owned(),
    };
    [
        when::plain(text("created_at")),
        text("event_type").to_owned(),
        who,
        text("ip").to_owned(),
        text("description").to_owned(),
    ]
}

/// A text among an event's attributes; empty if there is none.
fn attribute<'a>(event: &'a Value, name: &str) -> &'a str {
    event["attributes"][name].as_str().unwrap_or_default()
}
