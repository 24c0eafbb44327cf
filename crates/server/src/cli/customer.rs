//! `keygate customer`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use keygate_model::CustomerId;
use serde_json::json;

use super::{Database, Desk, Shown, block_on, output};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a customer
    #[command(after_help = "Example:\n  keygate customer create --name Acme --json")]
    Create(Create),
}

#[derive(Args)]
pub(super) struct Create {
    /// What it is called
    #[arg(long)]
    name: String,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Create(create) = self;
        block_on(create.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let Desk { authority, rng, origin } = self.database.open()?;
        let id = CustomerId::from_bytes(rng.bytes()?);
        let customer = authority.create_customer(&origin, id, &self.name).await?;
        if self.shown.json {
            output::json(&json!({ "id": customer.id, "name": customer.name }));
        } else {
            output::line(format_args!("Customer {} was made: {}", customer.id, customer.name));
            output::line(
                "Next: keygate user create --customer ID --login L --name N --role superuser --password-stdin",
            );
        }
        Ok(())
    }
}
