//! `keygate event export`.

use std::{
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, IsTerminal as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::{
    About, Between, PAGE_MAX, attribute, ocsf,
    pages::{Order, Pages},
};
use crate::cli::{
    client::{Client, Remote},
    output,
};

#[derive(Args)]
pub(in crate::cli) struct Export {
    /// jsonl: an event a line, as the API shows it; csv: for spreadsheets; ocsf: an OCSF event a line, for a SIEM
    #[arg(long, default_value = "jsonl", hide_possible_values = true, value_name = "jsonl|csv|ocsf")]
    format: Format,
    /// Write to this file, for its owner's eyes only [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    between: Between,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
    Ocsf,
}

/// The columns of a CSV file: the attributes of these names.
const COLUMNS: [&str; 12] = [
    "position",
    "created_at",
    "event_type",
    "description",
    "actor",
    "user_id",
    "token_id",
    "service_id",
    "customer_id",
    "ip",
    "request_id",
    "metadata",
];

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let client = self.remote.open()?;
        let Some(file) = &self.output else {
            return match self.write(&client, io::stdout().lock()) {
                Err(why) if is_broken_pipe(&why) => Ok(()),
                written => written.map(drop),
            };
        };
        let cannot = || format!("{} cannot be written", file.display());
        // The file has its name only once everything is in it.
        let part = part(file);
        let open = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part);
        let written = open.with_context(cannot).and_then(|open| {
            let count = self.write(&client, &open)?;
            open.sync_all().and_then(|()| fs::rename(&part, file)).with_context(cannot)?;
            Ok(count)
        });
        let count = written.inspect_err(|_| drop(fs::remove_file(&part)))?;
        output::note(format_args!("{count} events are in {}", file.display()));
        Ok(())
    }

    /// Writes everything, and counts it.
    fn write(&self, client: &Client, out: impl Write) -> anyhow::Result<u64> {
        let mut query = self.about.query();
        query.extend(self.between.query()?);
        let mut pages = Pages::new(client, &query, Order::OldestFirst, PAGE_MAX);
        let mut lines = Lines::new(self.format, BufWriter::new(out))?;
        let bar = self.bar()?;
        let mut count = 0;
        while let Some(page) = pages.next()? {
            bar.set_length(pages.total());
            for event in &page {
                lines.write(event)?;
                count += 1;
            }
            bar.set_position(count);
        }
        bar.finish_and_clear();
        lines.end()?;
        Ok(count)
    }

    /// On a terminal that does not show the events themselves.
    fn bar(&self) -> anyhow::Result<ProgressBar> {
        if !io::stderr().is_terminal() || (self.output.is_none() && io::stdout().is_terminal()) {
            return Ok(ProgressBar::hidden());
        }
        let colour = if output::has_colours(&io::stderr()) { ".cyan" } else { "" };
        let style = format!("{{bar:40{colour}}} {{pos}} of {{len}} events, {{eta}} to go");
        Ok(ProgressBar::new(0).with_style(ProgressStyle::with_template(&style)?))
    }
}

/// The file of events in one of the formats.
enum Lines<W: Write> {
    Jsonl(W),
    Ocsf(W),
    Csv(Box<csv::Writer<W>>),
}

impl<W: Write> Lines<W> {
    fn new(format: Format, out: W) -> anyhow::Result<Self> {
        Ok(match format {
            Format::Jsonl => Self::Jsonl(out),
            Format::Ocsf => Self::Ocsf(out),
            Format::Csv => {
                let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
                csv.write_field("id")?;
                csv.write_record(COLUMNS)?;
                Self::Csv(Box::new(csv))
            }
        })
    }

    fn write(&mut self, event: &Value) -> anyhow::Result<()> {
        match self {
            Self::Jsonl(out) => writeln!(out, "{event}")?,
            Self::Ocsf(out) => writeln!(out, "{}", ocsf::event(event))?,
            Self::Csv(csv) => {
                csv.write_field(cell(event["id"].as_str().unwrap_or_default()))?;
                csv.write_record(COLUMNS.map(|name| match &event["attributes"][name] {
                    Value::Null => String::new(),
                    Value::String(_) => cell(attribute(event, name)),
                    other => cell(&other.to_string()),
                }))?;
            }
        }
        Ok(())
    }

    fn end(self) -> anyhow::Result<()> {
        match self {
            Self::Jsonl(mut out) | Self::Ocsf(mut out) => out.flush()?,
            Self::Csv(mut csv) => csv.flush()?,
        }
        Ok(())
    }
}

/// A cell that no spreadsheet takes for a formula (ASVS 1.2.10): an apostrophe before what could begin one.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\0']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

fn part(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// `keygate event export | head` is no error.
fn is_broken_pipe(why: &anyhow::Error) -> bool {
    let broken = |why: &io::Error| why.kind() == ErrorKind::BrokenPipe;
    why.chain().any(|cause| {
        cause.downcast_ref().is_some_and(broken)
            || matches!(cause.downcast_ref::<csv::Error>().map(csv::Error::kind),
                Some(csv::ErrorKind::Io(why)) if broken(why))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0=1"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        for text in ["", "a=1", "Token 'x' was created", "1"] {
            assert_eq!(cell(text), text);
        }
    }
}
