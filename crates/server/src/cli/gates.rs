//! `keygate gates`.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use keygate_authority::gates::{About, Beat};
use keygate_model::{Position, Timestamp, enforce::Drift};
use serde_json::{Value, json};

use super::{Database, Desk, Shown, block_on, output};

/// The gates that follow, and the processes that share a database, as its record has them.
#[derive(Args)]
pub(super) struct Gates {
    /// Also those whose lease has ended, as long as they are remembered
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

/// One of them, now.
struct Line {
    beat: Beat,
    /// How many events behind the record.
    behind: i64,
    /// Since it was heard.
    ago: Duration,
    /// Until its lease has ended. None: it has.
    lasts: Option<Duration>,
}

impl Gates {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (position, beats, now) = block_on(async {
            let Desk { authority, origin, .. } = self.database.open()?;
            let (position, beats) = authority.beats().await?;
            Ok((position, beats, origin.now))
        })?;
        let mut lines: Vec<_> = beats.into_iter().map(|beat| Line::of(beat, position, now)).collect();
        lines.retain(|line| self.all || line.lasts.is_some());
        lines.sort_by(|one, other| one.beat.name.cmp(&other.beat.name).then(one.ago.cmp(&other.ago)));
        if self.shown.json {
            let gates: Vec<_> = lines.iter().map(Line::json).collect();
            output::json(&json!({ "position": position.0, "gates": gates }));
        } else {
            output::list(
                &["NAME", "OF", "POSITION", "BEHIND", "HEARD", "LEASE", "VERSION", "RUN"],
                lines.iter().map(Line::cells),
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Line {
    fn of(beat: Beat, position: Position, now: Timestamp) -> Self {
        let ago = since(beat.about.heard_at, now);
        // As the authority counts: a little longer than the gate does.
        let lasts = Drift::DEFAULT.outlast(beat.granted.duration()).checked_sub(ago);
        Self { behind: (position.0 - beat.heartbeat.applied.0).max(0), ago, lasts, beat }
    }

    /// Whose it is: a process of the operator's beside the database, a gate that is told of everybody, or a customer's.
    fn of_whom(&self) -> String {
        let About { customer, everybody, .. } = &self.beat.about;
        match customer {
            None => "database".to_owned(),
            Some(_) if *everybody => "operator".to_owned(),
            Some(customer) => customer.to_string(),
        }
    }

    fn session(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.beat.heartbeat.session.0.to_be_bytes())
    }

    fn cells(&self) -> Vec<String> {
        let Beat { heartbeat, name, about, .. } = &self.beat;
        let version = if about.version.is_empty() { "-" } else { &about.version };
        vec![
            name.clone(),
            self.of_whom(),
            heartbeat.applied.0.to_string(),
            self.behind.to_string(),
            format!("{} ms ago", self.ago.as_millis()),
            self.lasts.map_or_else(|| "ended".to_owned(), |lasts| format!("{:.1} s", lasts.as_secs_f64())),
            version.to_owned(),
            self.session()[..8].to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let Beat { heartbeat, name, about, .. } = &self.beat;
        json!({
            "name": name,
            "session": self.session(),
            "customer_id": about.customer,
            "of": self.of_whom(),
            "position": heartbeat.applied.0,
            "behind": self.behind,
            "heard_milliseconds_ago": self.ago.as_millis() as u64,
            "lease_milliseconds": self.lasts.map(|lasts| lasts.as_millis() as u64),
            "version": about.version,
        })
    }
}

/// Another node's clock may be ahead of this one.
fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(now.micros() - then.micros()).unwrap_or(0))
}
