//! `keygate audit`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use keygate_authority::audit::Findings;
use serde_json::json;

use super::{Database, Desk, Shown, block_on, output};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Walk the chain of events and the seals of all rows; status 1 if anything is off
    #[command(after_help = "Example:\n  keygate audit verify --db sqlite:keygate.db")]
    Verify(Verify),
}

#[derive(Args)]
pub(super) struct Verify {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Verify(verify) = self;
        let findings = block_on(async {
            let Desk { authority, .. } = verify.database.open()?;
            Ok(authority.audit().await?)
        })?;
        if verify.shown.json {
            show_json(&findings)
        } else {
            show(&findings)
        }
        Ok(if findings.bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn show_json(findings: &Findings) {
    let bad: Vec<_> =
        findings.bad.iter().map(|bad| json!({ "noun": bad.noun, "id": bad.id, "why": bad.why })).collect();
    output::json(&json!({
        "id": findings.bad.first().map(|bad| bad.id.as_str()),
        "ok": bad.is_empty(),
        "events": findings.events,
        "rows": findings.rows,
        "first_bad": bad.first(),
        "bad": bad,
    }));
}

fn show(findings: &Findings) {
    let Findings { events, rows, bad } = findings;
    if bad.is_empty() {
        output::line(format_args!(
            "All is well: {events} events in an unbroken chain, {rows} rows with their seals."
        ));
        return;
    }
    output::line(format_args!(
        "{} things are off among {events} events and {rows} rows; the first:",
        bad.len()
    ));
    output::table(
        &["what", "which", "why"],
        bad.iter().map(|bad| vec![bad.noun.to_owned(), bad.id.clone(), bad.why.clone()]),
    );
    output::line(
        "Somebody has written to the database past Keygate, or it was restored from a mixture of backups.",
    );
    output::line(
        "Rows that fail their seal do not authorise. Compare with a backup before anything is changed.",
    );
}
