//! `keygate doctor`: whether the edge refuses what it should. It asks as a stranger would, and shows no token of anybody's.

mod probe;
mod question;

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    process::ExitCode,
};

use clap::Args;
use serde_json::json;

use self::{
    probe::Probe,
    question::{Question, away, plain, spelled},
};
use super::output;

#[derive(Args)]
pub(super) struct Doctor {
    /// A protected path, as its clients reach it through the proxy: one that answers 2xx to a good token
    #[arg(long, value_name = "URL")]
    probe: Probe,
    /// Keygate is stopped: look only whether the proxy refuses without it
    #[arg(long)]
    stopped: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What came of a question.
struct Finding {
    name: String,
    /// The status. None: there was no answer.
    answer: Option<u16>,
    /// What is wrong, and how to mend it. None: it was refused as it should be.
    wrong: Option<(&'static str, &'static str)>,
}

impl Doctor {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut findings = Vec::new();
        if !self.stopped {
            let path = self.probe.path();
            for question in plain()?.into_iter().chain(spelled(path)) {
                findings.push(question.put(&self.probe)?);
            }
        }
        let looks_without = self.stopped || self.keygate_was_stopped()?;
        if looks_without {
            for question in away()? {
                findings.push(question.put(&self.probe)?);
            }
        }
        self.tell(&findings, looks_without);
        let passes = findings.iter().all(|finding| finding.wrong.is_none());
        Ok(if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Asks the operator to stop it, if there is one.
    fn keygate_was_stopped(&self) -> io::Result<bool> {
        let stdin = io::stdin();
        if self.json || !stdin.is_terminal() {
            return Ok(false);
        }
        output::note(
            "Now stop Keygate, all of its servers that this proxy asks, and press Enter (s: skip this)",
        );
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        Ok(answer.trim().is_empty())
    }

    fn tell(&self, findings: &[Finding], looked_without: bool) {
        if self.json {
            let checks = findings.iter().map(|finding| {
                let (why, mend) = finding.wrong.unzip();
                let passes = finding.wrong.is_none();
                json!({ "check": finding.name, "answer": finding.answer, "passes": passes, "why": why, "mend": mend })
            });
            let passes = findings.iter().all(|finding| finding.wrong.is_none());
            output::json(&json!({
                "probe": self.probe.to_string(),
                "passes": passes,
                "with_keygate_stopped": looked_without,
                "checks": checks.collect::<Vec<_>>(),
            }));
            return;
        }
        let rows = findings.iter().map(|finding| {
            let answer = finding.answer.map_or_else(|| "none".to_owned(), |status| status.to_string());
            let (word, why) = finding.wrong.map_or(("ok", ""), |(why, _)| ("FAIL", why));
            vec![word.to_owned(), answer, finding.name.clone(), why.to_owned()]
        });
        output::list(&["", "ANSWER", "ASKED", "WHY"], rows);
        let mut told = Vec::new();
        for (_, mend) in findings.iter().filter_map(|finding| finding.wrong) {
            if !told.contains(&mend) {
                output::note(format_args!("To mend it: {mend}"));
                told.push(mend);
            }
        }
        if !looked_without {
            output::note(
                "Not looked at: whether the proxy refuses without Keygate. Stop it, and: the same with --stopped",
            );
        }
    }
}

impl Question {
    fn put(&self, probe: &Probe) -> anyhow::Result<Finding> {
        let answer = match probe.ask(self.method, &self.path_or(probe), &self.headers) {
            // Whoever lets nothing through lets nothing through.
            Err(_) if self.may_be_silent() => None,
            asked => Some(asked?),
        };
        let wrong = answer.and_then(|status| self.wrong(status));
        Ok(Finding { name: self.name.clone(), answer, wrong })
    }
}
