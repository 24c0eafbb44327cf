//! `keygate service`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use keygate_authority::service::{Changes, NewService, Row};
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
    /// Change a service: its name, its comment, its domains, its cache nodes
    #[command(
        after_help = "Example:\n  keygate service update ID --domain shop.example.com --domain www.shop.example.com\n\nA \
                            list that is given takes the place of the one before."
    )]
    Update(Update),
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
    #[arg(long = "cache", visible_alias = "node", value_name = "URL")]
    caches: Vec<String>,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
pub(super) struct Update {
    /// The service, by the id that `keygate service create` printed
    #[arg(value_name = "ID")]
    id: String,
    /// What it is called from now on
    #[arg(long)]
    name: Option<String>,
    /// What is said about it
    #[arg(long)]
    comment: Option<String>,
    /// A host name that it serves; may be given several times, and replaces all
    #[arg(long = "domain", value_name = "HOST", conflicts_with = "no_domains")]
    domains: Vec<String>,
    /// It serves no host names
    #[arg(long)]
    no_domains: bool,
    /// A cache node that serves it, http://host:port; may be given several times, and replaces all
    #[arg(long = "cache", visible_alias = "node", value_name = "URL", conflicts_with = "no_caches")]
    caches: Vec<String>,
    /// It has no cache nodes
    #[arg(long, visible_alias = "no-nodes")]
    no_caches: bool,
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
        }
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
            domains: domains(&self.domains)?,
            nodes: nodes(&self.caches)?,
            ..NewService::default()
        };
        let Desk { authority, rng, origin } = self.database.open()?;
        let id = ServiceId::from_bytes(rng.bytes()?);
        let service = authority.create_service(&Permit::of_the_operator(customer), &origin, id, new).await?;
        show(&service, &self.shown, "made");
        Ok(())
    }
}

impl Update {
    async fn run(self) -> anyhow::Result<()> {
        let Ok(id) = self.id.parse::<ServiceId>() else {
            bail!("There is no service {:?}: give the id that `keygate service create` printed", self.id)
        };
        let replaced = |given: Vec<String>, none: bool| (none || !given.is_empty()).then_some(given);
        let changes = Changes {
            name: self.name,
            comment: self.comment,
            domains: replaced(domains(&self.domains)?, self.no_domains),
            nodes: replaced(nodes(&self.caches)?, self.no_caches),
        };
        if changes == Changes::default() {
            bail!("There is nothing to change: give --name, --comment, --domain or --cache")
        }
        let Desk { authority, origin, .. } = self.database.open()?;
        let permit = Permit::of_the_operator(authority.service_by_id(id).await?.customer);
        let service = authority.update_service_by_id(&permit, &origin, id, changes).await?;
        show(&service, &self.shown, "changed");
        Ok(())
    }
}

fn show(service: &Row, shown: &Shown, what: &str) {
    if shown.json {
        output::json(&json!({
            "id": service.id, "customer_id": service.customer, "name": service.name,
            "domains": service.domains, "caches": service.nodes,
        }));
    } else {
        output::line(format_args!("Service {} was {what}: {}", service.id, service.name));
    }
}

fn domains(given: &[String]) -> anyhow::Result<Vec<String>> {
    parsed(given, |domain| Ok(Domain::parse(domain)?.to_string()))
}

fn nodes(given: &[String]) -> anyhow::Result<Vec<String>> {
    parsed(given, |node| Ok(Node::parse(node)?.to_string()))
}

fn parsed(given: &[String], parse: impl Fn(&str) -> anyhow::Result<String>) -> anyhow::Result<Vec<String>> {
    given.iter().map(|text| parse(text).with_context(|| format!("{text:?} cannot be used"))).collect()
}
