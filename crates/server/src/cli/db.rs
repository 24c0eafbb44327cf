//! `keygate db`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use keygate_authority::db::{Copied, Db, copy};
use serde_json::json;

use super::{Shown, output};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Copy the record from a file to an empty, migrated PostgreSQL database, and prove that both hold the same
    #[command(after_help = COPY_EXAMPLE)]
    Copy(Copy),
}

const COPY_EXAMPLE: &str = "Example:\n  keygate migrate --db postgres://owner@db.example/keygate --serve-role keygate\n  keygate db copy --from sqlite:keygate.db --to postgres://owner@db.example/keygate\n  keygate serve --db postgres://keygate@db.example/keygate --key-file keygate.db.key\n\nStop the server on the file before. The key file is not copied: serve with the one that the file had.";

#[derive(Args)]
pub(super) struct Copy {
    /// Where the record is
    #[arg(long, value_name = "sqlite:PATH")]
    from: String,
    /// Where it shall be, as the owner of its schema
    #[arg(long, env = "KEYGATE_MIGRATE_DB", value_name = "postgres://…", hide_env_values = true)]
    to: String,
    #[command(flatten)]
    shown: Shown,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Copy(Copy { from, to, shown }) = self;
        let (from, Db::Postgres(to)) = (super::database(&from)?, super::database(&to)?) else {
            anyhow::bail!("A record is copied to PostgreSQL: name it as --to postgres://OWNER@HOST/DATABASE");
        };
        if let Db::Sqlite(path) = &from {
            anyhow::ensure!(path.exists(), "There is no file {}", path.display());
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:14} {bar:40} {pos}/{len} rows, {eta} left") {
            bar.set_style(style);
        }
        let copied = copy(&from, &to, &mut |table, done, all| {
            bar.set_message(table);
            bar.set_length(all);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        show(&from, &to.to_string(), &copied?, &shown);
        Ok(ExitCode::SUCCESS)
    }
}

fn show(from: &Db, to: &str, copied: &[Copied], shown: &Shown) {
    let digest = |copied: &Copied| data_encoding::HEXLOWER.encode(&copied.digest);
    if shown.json {
        let tables: Vec<_> = copied
            .iter()
            .map(|copied| json!({ "table": copied.table, "rows": copied.rows, "sha256": digest(copied) }))
            .collect();
        output::json(&json!({ "id": to, "tables": tables }));
        return;
    }
    let rows = copied.iter().map(|copied| {
        vec![copied.table.to_owned(), copied.rows.to_string(), digest(copied)[..16].to_owned()]
    });
    output::table(&["table", "rows", "sha-256, read from both"], rows);
    output::line(format_args!("{from} and {to} hold the same."));
}
