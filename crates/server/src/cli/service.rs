//! `keygate service`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use keygate_authority::service::NewService;
use keygate_model::{CustomerId, Permit, ServiceId};
use keygate_purge::{Domain, Node};
use serde_json::json;

use super::{Database, Desk, Shown, block_on, output};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a service
    #[command(
        after_help = "Example:\n  keygate service create --customer ID --name shop --domain shop.example.com \\\n    \
                            --cache http://127.0.0.1:6081"
    )]
    Create(Create),
}

#[derive(Args)]
pub(super) struct Create {
    /// The customer it belongs to
    #[arg(long, value_name = "ID")]
    customer: String,
    /// What it is called
    #[arg(long)]
    name: String,
    /// A host name that it serves; may be given several times
    #[arg(long = "domain", value_name = "HOST")]
    domains: Vec<String>,
    /// A cache node that serves it, http://host:port; may be given several times
    #[arg(long = "cache", value_name = "URL")]
    caches: Vec<String>,
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
        let Ok(customer) = self.customer.parse::<CustomerId>() else {
            bail!(
                "There is no customer {:?}: give the id that `keygate customer create` printed",
                self.customer
            )
        };
        let new = NewService {
            name: self.name,
            domains: parsed(&self.domains, |domain| Ok(Domain::parse(domain)?.to_string()))?,
            nodes: parsed(&self.caches, |cache| Ok(Node::parse(cache)?.to_string()))?,
            ..NewService::default()
        };
        let Desk { authority, rng, origin } = self.database.open()?;
        let id = ServiceId::from_bytes(rng.bytes()?);
        let service = authority.create_service(&Permit::of_the_operator(customer), &origin, id, new).await?;
        if self.shown.json {
            output::json(&json!({
                "id": service.id, "customer_id": service.customer, "name": service.name,
                "domains": service.domains, "caches": service.nodes,
            }));
        } else {
            output::line(format_args!("Service {} was made: {}", service.id, service.name));
        }
        Ok(())
    }
}

fn parsed(given: &[String], parse: impl Fn(&str) -> anyhow::Result<String>) -> anyhow::Result<Vec<String>> {
    given.iter().map(|text| parse(text).with_context(|| format!("{text:?} cannot be used"))).collect()
}
