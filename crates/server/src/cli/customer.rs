//! `keygate customer`.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use keygate_authority::customer::Changes;
use keygate_model::{CustomerId, Networks, Permit, customer::CustomerState};
use serde_json::json;

use super::{Database, Desk, Shown, block_on, mass_revoke::OnTheDatabase, output};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a customer
    #[command(after_help = "Example:\n  keygate customer create --name Acme --json")]
    Create(Create),
    /// Change a customer: also what its own people have locked themselves out with
    #[command(after_help = "Example:\n  keygate customer update --customer ID --ip-whitelist 0.0.0.0/0\n  \
                            keygate customer update --customer ID --state suspended")]
    Update(Update),
    /// Revoke all tokens of a customer, or of everybody, that fit; tells how many, and does it with --yes
    #[command(after_help = "Examples:\n  keygate customer mass-revoke --customer ID --all --yes\n  \
                            keygate customer mass-revoke --every-customer --created-from 2027-01-31T12:00:00Z --yes")]
    MassRevoke(Box<OnTheDatabase>),
}

#[derive(Args)]
pub(super) struct Update {
    /// Which
    #[arg(long, value_name = "ID")]
    customer: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Where tokens may be used from: addresses, networks, 192.0.*.*, with commas between; 0.0.0.0/0 is anywhere
    #[arg(long, value_name = "LIST")]
    ip_whitelist: Option<String>,
    /// Whether its people must have a second factor
    #[arg(long, value_name = "BOOL")]
    force_2fa: Option<bool>,
    /// Whether its tokens may act
    #[arg(long, value_parser = ["active", "suspended"])]
    state: Option<String>,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
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
        match self {
            Self::Create(create) => block_on(create.run())?,
            Self::Update(update) => block_on(update.run())?,
            Self::MassRevoke(revoke) => block_on(revoke.run())?,
        }
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

impl Update {
    async fn run(self) -> anyhow::Result<()> {
        let Ok(id) = self.customer.parse::<CustomerId>() else {
            bail!("There is no such customer: give the id that `keygate customer create` printed")
        };
        let changes = Changes {
            name: self.name,
            ip_whitelist: self.ip_whitelist.as_deref().map(Networks::parse).transpose()?,
            force_2fa: self.force_2fa,
            ..Changes::default()
        };
        let Desk { authority, origin, .. } = self.database.open()?;
        let permit = Permit::of_the_operator(id);
        let customer = authority.update_customer(&permit, &origin, changes).await?;
        let state = self.state.as_deref().and_then(CustomerState::of).unwrap_or(customer.state);
        if state != customer.state {
            authority.set_customer_state(&permit, &origin, state).await?;
        }
        if self.shown.json {
            output::json(&json!({
                "id": customer.id,
                "name": customer.name,
                "state": state.as_str(),
                "ip_whitelist": customer.settings.ip_whitelist,
                "force_2fa": customer.settings.force_2fa,
            }));
        } else {
            output::line(format_args!("Customer {}: {}, {}", customer.id, customer.name, state.as_str()));
            output::line(format_args!("  used from {}", customer.settings.ip_whitelist));
            let asked =
                if customer.settings.force_2fa { "asked of everybody" } else { "left to each person" };
            output::line(format_args!("  second factor {asked}"));
        }
        Ok(())
    }
}
