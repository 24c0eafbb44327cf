//! `keygate policy import-openapi`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;

use super::PolicyFile;
use crate::{
    cli::output,
    openapi_import::{ActionFrom, Customers, Imported, Options, import},
};

#[derive(Args)]
pub(in crate::cli) struct ImportOpenapi {
    /// The OpenAPI document, 3.0 or 3.1, JSON or YAML; - for standard input
    #[arg(value_name = "DOCUMENT")]
    document: PathBuf,
    /// What the policy is called; needed unless one is updated
    #[arg(long, required_unless_present = "update")]
    name: Option<String>,
    /// The policy file to keep and to add to: new operations are denied to everybody until somebody classifies them
    #[arg(long, value_name = "FILE")]
    update: Option<PathBuf>,
    /// A host, in the place of those under `servers`; may be given several times
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// What stands before every path, in the place of the paths under `servers`
    #[arg(long, value_name = "PATH")]
    base_path: Option<String>,
    /// A customer whose tokens are good there; may be given several times; all customers unless given
    #[arg(long = "customer", value_name = "ID")]
    customers: Vec<String>,
    /// The path parameter that is the id of a service
    #[arg(long, value_name = "PARAMETER")]
    service_param: Option<String>,
    /// One action to read and one to write for each tag, instead of one for each operation
    #[arg(long)]
    by_tag: bool,
    /// Operations that say `security: []` are public
    #[arg(long)]
    public_from_security: bool,
    /// A role, and the scopes whose actions it has: clerk=orders:read,orders:write; * and @read too
    #[arg(long = "role", value_name = "ROLE=SCOPES")]
    roles: Vec<String>,
    /// Take out routes of an earlier import that the document does not have any more
    #[arg(long, requires = "update")]
    prune: bool,
    /// Where to write the policy; standard output unless given
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ImportOpenapi {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let document = PolicyFile { file: self.document.clone() };
        let document = document.read().context("The document cannot be read")?;
        let imported = import(&document, &self.options()?)
            .with_context(|| format!("No policy can be made from {}", self.document.display()))?;
        tell(&imported);
        match &self.output {
            None => output::line(imported.policy.trim_end()),
            Some(file) => {
                std::fs::write(file, &imported.policy)
                    .with_context(|| format!("{} cannot be written", file.display()))?;
                let file = file.display();
                output::note(format_args!("{file} is written. Next: keygate policy check {file}"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn options(&self) -> anyhow::Result<Options> {
        let existing =
            self.update.as_ref().map(|file| PolicyFile { file: file.clone() }.read()).transpose()?;
        let name = match (&self.name, &existing) {
            (Some(name), _) => name.clone(),
            (None, Some(text)) => {
                let table: toml::Table = text.parse().context("The policy to update is not right")?;
                let name = table.get("name").and_then(toml::Value::as_str);
                name.context("The policy to update has no name")?.to_owned()
            }
            (None, None) => bail!("Give the policy a name: --name shop"),
        };
        let role = |text: &String| {
            let (role, scopes) =
                text.split_once('=').with_context(|| format!("{text:?}: write it as clerk=orders:read"))?;
            Ok((role.to_owned(), scopes.split(',').map(str::to_owned).collect()))
        };
        Ok(Options {
            hosts: self.hosts.clone(),
            base_path: self.base_path.clone(),
            customers: match self.customers.is_empty() {
                true => Customers::All,
                false => Customers::Only(self.customers.clone()),
            },
            service_param: self.service_param.clone(),
            action_from: if self.by_tag { ActionFrom::Tag } else { ActionFrom::OperationId },
            public_from_security: self.public_from_security,
            roles: self.roles.iter().map(role).collect::<anyhow::Result<_>>()?,
            existing,
            prune: self.prune,
            ..Options::named(&name)
        })
    }
}

/// Says what whoever reads the policy must know, to standard error: the policy itself may go to standard output.
fn tell(imported: &Imported) {
    for route in &imported.added {
        output::note(format_args!("new      {route}: denied to everybody until it has an action"));
    }
    for route in &imported.removed {
        output::note(format_args!("gone     {route}"));
    }
    for changed in &imported.changed {
        output::note(format_args!(
            "changed  {}: it was {}, and is {} now",
            changed.on, changed.was, changed.now
        ));
    }
    for warning in &imported.warnings {
        output::note(format_args!("warning  {warning}"));
    }
}
