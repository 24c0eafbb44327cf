//! `keygate policy`: what a protected API is, and who may do what there.

mod apply;
mod check;
mod explain;
mod freshness;
mod import;
mod show;

use std::{io::Read as _, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use keygate_model::{
    Policy,
    policy::{Api, ApiSource, OWN_POLICY},
};

use super::block_on;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Read a policy file, and say what is in it or what is wrong with it; changes nothing
    #[command(after_help = "Example:\n  keygate policy check shop.toml")]
    Check(check::Check),
    /// Put the cases of a policy file to the law; status 1 if one is answered otherwise than it says
    #[command(after_help = "Example:\n  keygate policy test shop.toml")]
    Test(check::Test),
    /// Apply a policy file: it acts at once, at every gate
    #[command(after_help = "Example:\n  keygate policy apply shop.toml\n\n\
                      Says what it changes. If tokens that were used in the last 30 days would lose something, it asks.")]
    Apply(apply::Apply),
    /// Take a policy back: everything at its hosts is denied from then on
    #[command(after_help = "Example:\n  keygate policy remove shop")]
    Remove(apply::Remove),
    /// What applying a policy file would change: routes, and which tokens gain or lose what
    #[command(after_help = "Example:\n  keygate policy diff shop.toml")]
    Diff(apply::Diff),
    /// The policies in force, or the file of one
    #[command(after_help = "Example:\n  keygate policy show\n  keygate policy show shop > shop.toml")]
    Show(show::Show),
    /// Make a policy file from an OpenAPI document, or bring one up to date
    #[command(
        after_help = "Example:\n  keygate policy import-openapi openapi.yaml --name shop --output shop.toml\n  \
                      keygate policy import-openapi openapi.yaml --update shop.toml --output shop.toml"
    )]
    ImportOpenapi(import::ImportOpenapi),
    /// What a request is, and who may make it
    #[command(
        after_help = "Example:\n  keygate policy explain GET https://api.shop.example.com/orders/1 --scope shop:read \\\n    \
                      --role engineer"
    )]
    Explain(explain::Explain),
}

/// A policy file.
#[derive(Args)]
struct PolicyFile {
    /// The policy file; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check(check) => check.run(),
            Self::Test(test) => test.run(),
            Self::Apply(apply) => block_on(apply.run()),
            Self::Remove(remove) => block_on(remove.run()),
            Self::Diff(diff) => block_on(diff.run()),
            Self::Show(show) => block_on(show.run()),
            Self::ImportOpenapi(import) => import.run(),
            Self::Explain(explain) => block_on(explain.run()),
        }
    }
}

impl PolicyFile {
    fn read(&self) -> anyhow::Result<String> {
        if self.file.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("Standard input cannot be read")?;
            return Ok(text);
        }
        std::fs::read_to_string(&self.file)
            .with_context(|| format!("The policy file {} cannot be read", self.file.display()))
    }

    /// It alone beside Keygate's own.
    fn compile(&self) -> anyhow::Result<Policy> {
        let text = self.read()?;
        let own = Policy::compile(OWN_POLICY)?;
        own.with(&[ApiSource { text: Some(&text), retired: &[] }])
            .with_context(|| format!("The policy file {} is not right", self.file.display()))
    }
}

/// The one API of a policy that was compiled from one file.
fn only(policy: &Policy) -> anyhow::Result<&Api> {
    policy.apis().first().context("The file describes no API")
}
