//! `keygate migrate`.

use std::process::ExitCode;

use clap::Args;
use keygate_authority::db::{Db, Role, Schema};
use serde_json::json;

use super::{Shown, output};

pub(super) const EXAMPLES: &str = "Example:\n  keygate migrate --db postgres://owner@db.example/keygate --serve-role keygate --audit-role auditor\n\nAs the owner of the database. Then serve with another role than the owner's:\n  keygate serve --db postgres://keygate@db.example/keygate --key-file /etc/keygate/key";

#[derive(Args)]
pub(super) struct Migrate {
    /// The database, as the owner of its schema; a file is brought up to date by whatever opens it
    #[arg(long, env = "KEYGATE_MIGRATE_DB", value_name = "postgres://…", hide_env_values = true)]
    db: String,
    /// Let this role of the server serve: read and write the record, and only add to the log of events
    #[arg(long, value_name = "ROLE", value_parser = Role::parse)]
    serve_role: Option<Role>,
    /// Let this role of the server read the log of events, and nothing else
    #[arg(long, value_name = "ROLE", value_parser = Role::parse)]
    audit_role: Option<Role>,
    #[command(flatten)]
    shown: Shown,
}

impl Migrate {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Db::Postgres(address) = super::database(&self.db)? else {
            anyhow::bail!("A file needs no migration by hand: whatever opens it brings it up to date");
        };
        let made = Schema::open(&address, |schema| {
            let made = schema.migrate()?;
            self.serve_role.as_ref().map_or(Ok(()), |role| schema.grant_serving(role))?;
            self.audit_role.as_ref().map_or(Ok(()), |role| schema.grant_auditing(role))?;
            Ok(made)
        })?;
        if self.shown.json {
            output::json(&json!({ "id": address.to_string(), "migrations": made }));
        } else if made == 0 {
            output::line(format_args!("{address} was up to date."));
        } else {
            output::line(format_args!("{address} is up to date: {made} migrations were made."));
        }
        Ok(ExitCode::SUCCESS)
    }
}
