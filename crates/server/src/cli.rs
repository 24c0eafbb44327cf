//! The command line.

mod audit;
mod customer;
mod demo;
mod import;

mod output;
mod serve;
mod service;
mod user;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Parser, Subcommand};
use keygate_authority::{Authority, Origin, Settings};
use keygate_model::{Policy, policy::OWN_POLICY};

pub(crate) use user::factor_entropy;

use crate::{
    config,
    edge::{Clock, Rng},
};

/// API tokens for any HTTP API: scoped, expiring, audited, revoked at once.
#[derive(Parser)]
#[command(name = "keygate", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// See Keygate at work: a tutorial that plays itself, on a server of its own
    #[command(after_help = "Example:\n  keygate demo --exit")]
    Demo(demo::Demo),

    /// Serve the API
    #[command(after_help = "Example:\n  keygate serve --listen 127.0.0.1:8080 --db sqlite:keygate.db")]
    Serve(serve::Serve),
    /// Customers: the organisations that everything belongs to
    #[command(subcommand)]
    Customer(customer::Command),
    /// People
    #[command(subcommand)]
    User(user::Command),
    /// Services: what tokens can be limited to
    #[command(subcommand)]
    Service(service::Command),
    /// Tokens
    #[command(subcommand)]
    Token(Token),
    /// The audit log
    #[command(subcommand)]
    Audit(audit::Command),
}

#[derive(Subcommand)]
enum Token {
    /// Take existing API keys over: they work as they are
    #[command(after_help = "Example:\n  keygate token import --customer ID --file keys.csv --dry-run\n\n\
                            A line of keys.csv, under its header:\n  name,owner,scope,services,expires_at,secret\n  \
                            deploy,role:engineer,global,,,3f1c0b…")]
    Import(import::ImportKeys),
}

/// Which database a command works on.
#[derive(Args)]
struct Database {
    /// The database, of a stopped or a running server
    #[arg(long, env = "KEYGATE_DB", value_name = "sqlite:PATH", default_value = "sqlite:keygate.db")]
    db: String,
    /// The key file [default: PATH.key, beside the database]
    #[arg(long, env = "KEYGATE_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// How a command shows what it did.
#[derive(Args)]
struct Shown {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// An opened database, with what a command needs to change it.
struct Desk {
    authority: Authority,
    rng: Rng,
    origin: Origin,
}

impl Database {
    /// Opens it. The server that may be running on it hears of every change by itself.
    fn open(&self) -> anyhow::Result<Desk> {
        let rng = Rng::System;
        let authority = Authority::open_silently(self.settings(&rng)?)?;
        Ok(Desk { authority, rng, origin: Origin::local(Clock::System.now()) })
    }

    fn settings(&self, rng: &Rng) -> anyhow::Result<Settings> {
        settings(&self.db, self.key_file.as_ref(), rng)
    }
}

fn settings(db: &str, key_file: Option<&PathBuf>, rng: &Rng) -> anyhow::Result<Settings> {
    let policy = Arc::new(Policy::compile(OWN_POLICY)?);
    let mut settings = Settings::new(&config::sqlite_path(db)?, policy, rng.bytes()?);
    if let Some(key) = key_file {
        settings.key.clone_from(key);
    }
    Ok(settings)
}

/// Runs what the command line says.
#[must_use]
pub fn run() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(code) => code,
        Err(why) => {
            output::error(&why);
            ExitCode::from(2)
        }
    }
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Demo(demo) => demo.run(),

            Self::Serve(serve) => serve.run(),
            Self::Customer(command) => command.run(),
            Self::User(command) => command.run(),
            Self::Service(command) => command.run(),
            Self::Token(Token::Import(import)) => import.run(),
            Self::Audit(command) => command.run(),
        }
    }
}

/// Runs one command to its end.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    crate::log::start("warn");
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
