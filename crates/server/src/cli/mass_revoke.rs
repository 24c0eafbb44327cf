//! Revoking any number of tokens in one change: a superuser's over the API, the operator's on the database.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use keygate_authority::mass_revoke::LONGEST;
use keygate_model::{
    CustomerId, Permit, Timestamp,
    id::Id,
    mass_revoke::{Criteria, Sort, Targets, Whose},
};
use serde_json::{Map, Value, json};

use super::{
    Database, Desk, Shown,
    client::{self, Client, Remote},
    output, receipt,
    when::When,
};

/// Which tokens.
#[derive(Args)]
pub(super) struct Chosen {
    /// All of them
    #[arg(long)]
    all: bool,
    /// Those bound to this person
    #[arg(long, value_name = "ID", value_parser = client::id)]
    owner: Option<String>,
    /// Those limited to services of which this is one
    #[arg(long, value_name = "ID", value_parser = client::id)]
    service: Option<String>,
    /// Those made by this person, or by a token that they made
    #[arg(long, value_name = "ID", value_parser = client::id)]
    issuer: Option<String>,
    /// Those made by this token
    #[arg(long, value_name = "ID", value_parser = client::id)]
    parent: Option<String>,
    /// Those made at this time or later, like 2h (ago) or 2027-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    created_from: Option<When>,
    /// Those made before this time
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    created_before: Option<When>,
    /// Those of this sort; imported ones have a secret that was made elsewhere
    #[arg(long, value_parser = ["user", "automation", "imported"])]
    kind: Option<String>,
    /// Those with a name that begins like this
    #[arg(long, value_name = "TEXT")]
    name_prefix: Option<String>,
    /// Do it; without this, only tell how many there are
    #[arg(long)]
    yes: bool,
}

/// `keygate token mass-revoke`.
#[derive(Args)]
pub(super) struct OverTheApi {
    #[command(flatten)]
    chosen: Chosen,
    /// Spare the token that this command itself uses
    #[arg(long)]
    keep_caller: bool,
    /// Wait until no gate lets them in any more, for so many seconds at most; status 1 if one still may then
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "40",
          value_parser = clap::value_parser!(u16).range(0..=50))]
    wait: Option<u16>,
    /// Write the signed receipt here; waits
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// `keygate customer mass-revoke`.
#[derive(Args)]
pub(super) struct OnTheDatabase {
    /// Whose tokens
    #[arg(long, value_name = "ID", required_unless_present = "every_customer")]
    customer: Option<String>,
    /// Everybody's
    #[arg(long, conflicts_with = "customer")]
    every_customer: bool,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

impl Chosen {
    fn body(&self) -> anyhow::Result<Map<String, Value>> {
        let mut body = Map::new();
        let mut say = |name: &str, value: Option<Value>| {
            value.map(|value| body.insert(name.to_owned(), value));
        };
        let time = |when: &Option<When>| when.as_ref().map(When::back).transpose();
        say("all", self.all.then_some(json!(true)));
        say("owner", self.owner.as_ref().map(|id| json!(id)));
        say("service", self.service.as_ref().map(|id| json!(id)));
        say("issuer", self.issuer.as_ref().map(|id| json!(id)));
        say("parent", self.parent.as_ref().map(|id| json!(id)));
        say("created_from", time(&self.created_from)?.map(|at| json!(at)));
        say("created_before", time(&self.created_before)?.map(|at| json!(at)));
        say("kind", self.kind.as_ref().map(|kind| json!(kind)));
        say("name_prefix", self.name_prefix.as_ref().map(|name| json!(name)));
        Ok(body)
    }

    fn targets(&self, whose: Whose) -> anyhow::Result<Targets> {
        fn id<N>(text: Option<&String>) -> anyhow::Result<Option<Id<N>>> {
            text.map(|text| text.parse().map_err(|_| anyhow!("{text} is not an id"))).transpose()
        }
        let time = |when: &Option<When>| -> anyhow::Result<Option<Timestamp>> {
            let Some(when) = when else { return Ok(None) };
            let at: jiff::Timestamp = when.back()?.parse()?;
            Ok(Some(Timestamp::from_seconds(at.as_second())))
        };
        let criteria = Criteria {
            owner: id(self.owner.as_ref())?,
            service: id(self.service.as_ref())?,
            issuer: id(self.issuer.as_ref())?,
            parent: id(self.parent.as_ref())?,
            created_from: time(&self.created_from)?,
            created_before: time(&self.created_before)?,
            sort: self.kind.as_deref().and_then(Sort::of),
            name_prefix: self.name_prefix.clone(),
        };
        Ok(Targets::new(whose, criteria, self.all)?)
    }
}

impl OverTheApi {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.remote.open()?;
        let mut body = self.chosen.body()?;
        if self.keep_caller {
            body.insert("keep_caller".to_owned(), json!(true));
        }
        if !self.chosen.yes {
            body.insert("dry_run".to_owned(), json!(true));
        }
        let answer = self.ask(&client, &body.into())?;
        if let (Some(path), Some(receipt)) = (&self.receipt, answer["receipt"].as_str()) {
            std::fs::write(path, format!("{receipt}\n"))
                .with_context(|| format!("The receipt could not be written to {}", path.display()))?;
        }
        if self.remote.json {
            output::pretty(&answer);
        } else {
            show(answer["tokens_revoked"].as_u64().unwrap_or_default(), self.chosen.yes);
            tell_enforced(&answer);
        }
        let still = answer["enforced"].as_bool() == Some(false);
        Ok(if still { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    fn ask(&self, client: &Client, body: &Value) -> anyhow::Result<Value> {
        let waits = self.chosen.yes && (self.wait.is_some() || self.receipt.is_some());
        let wait = waits.then(|| self.wait.unwrap_or(client::WAIT));
        let answer = client.post_long("/tokens/mass-revoke", body, LONGEST, wait)?;
        Ok(answer.document(client)?)
    }
}

impl OnTheDatabase {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (whose, house) = match &self.customer {
            None => (Whose::Everybody, CustomerId::from_bits(0)),
            Some(id) => {
                let Ok(id) = id.parse() else {
                    bail!("There is no such customer: give the id that `keygate customer create` printed")
                };
                (Whose::Customer(id), id)
            }
        };
        let targets = self.chosen.targets(whose)?;
        let Desk { authority, rng, origin } = self.database.open()?;
        let (permit, id) = (Permit::of_the_operator(house), rng.bytes()?);
        let done = if self.chosen.yes {
            let done = authority.mass_revoke(&permit, &origin, id, targets).await?;
            json!({ "tokens_revoked": done.tokens, "mass_revoke": done.id })
        } else {
            let tokens = authority.count_mass_revoke(&permit, &origin, id, targets).await?;
            json!({ "tokens_revoked": tokens, "dry_run": true })
        };
        if self.shown.json {
            output::json(&done);
        } else {
            show(done["tokens_revoked"].as_u64().unwrap_or_default(), self.chosen.yes);
        }
        Ok(())
    }
}

fn show(tokens: u64, done: bool) {
    if done {
        output::line(format_args!("Tokens that are revoked, at once and for good: {tokens}."));
    } else {
        output::line(format_args!(
            "Tokens that would be revoked: {tokens}. Nothing was done; with --yes it is."
        ));
    }
}

fn tell_enforced(answer: &Value) {
    let milliseconds = &answer["milliseconds"];
    match answer["enforced"].as_bool() {
        Some(true) => {
            output::line(format_args!("No gate lets any of them in any more: {milliseconds} ms."));
        }
        Some(false) => {
            output::line(format_args!("After {milliseconds} ms some gate may still let them in."));
        }
        None => {}
    }
    receipt::gates(answer);
}
