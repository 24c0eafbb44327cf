//! `keygate event tail`.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    thread,
    time::Duration,
};

use clap::{
    Args,
    builder::styling::{AnsiColor, Style},
};
use serde_json::Value;

use super::{
    About, columns,
    pages::{Order, Pages},
};
use crate::cli::{
    client::{Client, Refusal, Remote},
    output,
};

/// How many a poll asks for at once.
const PAGE: usize = 100;

#[derive(Args)]
pub(in crate::cli) struct Tail {
    #[command(flatten)]
    about: About,
    /// How many of the last events to begin with
    #[arg(long, short = 'n', default_value_t = 10, value_name = "NUMBER")]
    lines: usize,
    /// How often to look for new ones, in seconds
    #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    #[command(flatten)]
    remote: Remote,
}

impl Tail {
    /// Ends when nobody reads any more, or the server does not let it.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let client = self.remote.open()?;
        let query = self.about.query();
        let mut last = Pages::new(&client, &query, Order::NewestFirst, self.lines.clamp(1, super::PAGE_MAX))
            .next()?
            .unwrap_or_default();
        let mut seen = last.iter().filter_map(position).max().unwrap_or_default();
        last.truncate(self.lines);
        let mut reader_is_there = last.iter().rev().all(|event| self.print(event));
        let mut told = false;
        while reader_is_there {
            thread::sleep(Duration::from_secs(self.interval));
            match after(&client, &query, seen) {
                Ok(new) => {
                    told = false;
                    seen = new.keys().last().copied().unwrap_or(seen);
                    reader_is_there = new.values().all(|event| self.print(event));
                }
                Err(why) if why.passing => {
                    if !told {
                        output::error(&why.into());
                        output::note("Still trying; what happens meanwhile is shown afterwards.");
                    }
                    told = true;
                }
                Err(why) => return Err(why.into()),
            }
        }
        Ok(())
    }

    /// One line for each; false once nobody reads.
    fn print(&self, event: &Value) -> bool {
        let text = if self.remote.json { event.to_string() } else { line(event) };
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
    }
}

/// The events after this position, by theirs. Read from the newest backwards: whatever the clock did meanwhile, and
/// however many there are, none is left out.
fn after(client: &Client, query: &[(&str, String)], seen: i64) -> Result<BTreeMap<i64, Value>, Refusal> {
    let mut new = BTreeMap::new();
    let mut pages = Pages::new(client, query, Order::NewestFirst, PAGE);
    while let Some(page) = pages.next()? {
        for event in page {
            match position(&event) {
                Some(position) if position > seen => new.insert(position, event),
                _ => return Ok(new),
            };
        }
    }
    Ok(new)
}

fn position(event: &Value) -> Option<i64> {
    event["attributes"]["position"].as_i64()
}

fn line(event: &Value) -> String {
    let [at, kind, who, from, what] = columns(event).map(|text| output::clean(&text));
    let colour = if kind.ends_with("failure") { AnsiColor::Red } else { AnsiColor::Cyan };
    let style = Style::new().fg_color(Some(colour.into()));
    let kind = output::styled(&io::stdout(), style, &format!("{kind:22}"));
    format!("{at}  {kind}  {what}  (by {who}, from {from})")
}
