//! `keygate epoch`: what to do with a record that was set back.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use keygate_authority::{
    Authority, Origin,
    epoch::{Memory, Whereabouts},
};
use serde_json::{Value, json};

use super::{Database, Shown, block_on, output};
use crate::{
    edge::{Clock, Rng},
    json::time,
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Where the record stands, and what this machine has seen of it; status 1 if it is behind that
    #[command(after_help = "Example:\n  keygate epoch show --db sqlite:keygate.db")]
    Show(Show),
    /// Accept that what came after the end of a restored record is lost: nodes and gates follow it again
    #[command(
        after_help = "Example:\n  keygate epoch raise --db sqlite:keygate.db --yes\n\nStop the nodes before, and start them after it."
    )]
    Raise(Raise),
}

/// Which record, and what is remembered of it.
#[derive(Args)]
struct Place {
    /// Where this machine remembers how far the record had come, if the configuration of the node says so [default: the
    /// key file's name and .seen]
    #[arg(long, value_name = "FILE")]
    seen: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
}

#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
pub(super) struct Raise {
    /// Do it; without this, only tell where the record stands
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    shown: Shown,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            match self {
                Self::Show(show) => show.run().await,
                Self::Raise(raise) => raise.run().await.map(|()| ExitCode::SUCCESS),
            }
        })
    }
}

impl Place {
    fn open(&self) -> anyhow::Result<Authority> {
        let mut settings = self.database.settings(&Rng::System)?;
        if let Some(seen) = &self.seen {
            settings.memory = Some(Memory::at(seen.clone()));
        }
        Ok(Authority::open_silently(settings)?)
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let authority = self.place.open()?;
        let here = authority.whereabouts().await?;
        if self.shown.json {
            output::json(&told(&here));
        } else {
            show(&here);
        }
        Ok(if here.is_behind { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

impl Raise {
    async fn run(self) -> anyhow::Result<()> {
        let (authority, origin) = (self.place.open()?, Origin::local(Clock::System.now()));
        let here = authority.whereabouts().await?;
        if !self.yes {
            if self.shown.json {
                output::json(&told(&here));
            } else {
                show(&here);
                output::line("Nothing was done; with --yes the next epoch begins.");
            }
            return Ok(());
        }
        let epoch = authority.raise_epoch(&origin).await?;
        if self.shown.json {
            output::json(&json!({ "epoch": epoch, "position": here.position.0 + 1 }));
            return Ok(());
        }
        output::line(format_args!("Epoch {epoch} has begun after event {}.", here.position.0));
        if let Some(at) = here.at {
            output::line(
                "What was revoked in the time that is lost is alive again. To revoke everything that was made since then:",
            );
            output::line(format_args!(
                "  keygate customer mass-revoke --every-customer --created-from {} --yes",
                time(at)
            ));
        }
        Ok(())
    }
}

fn told(here: &Whereabouts) -> Value {
    let seen = here.seen.map(|(epoch, position)| json!({ "epoch": epoch, "position": position.0 }));
    json!({
        "epoch": here.epoch,
        "position": here.position.0,
        "at": here.at.map(time),
        "seen": seen,
        "is_behind": here.is_behind,
    })
}

fn show(here: &Whereabouts) {
    let seen = here.seen.map_or_else(
        || "nothing of this record".to_owned(),
        |(epoch, position)| format!("event {} of epoch {epoch}", position.0),
    );
    output::fields(&[
        ("epoch", here.epoch.to_string()),
        ("last event", here.position.0.to_string()),
        ("of", here.at.map_or_else(|| "never".to_owned(), time)),
        ("this machine has seen", seen),
    ]);
    if here.is_behind {
        output::line(
            "The record is behind what this machine has seen, or took another course: no node serves it here.",
        );
    }
}
