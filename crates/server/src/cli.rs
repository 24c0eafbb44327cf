//! The command line.

mod audit;
mod automation_token;
pub(crate) mod client;
mod customer;
mod db;
mod demo;
mod doctor;
mod epoch;
mod event;
mod explain;
mod follow;
mod gate;
mod gates;
mod import;
mod login;
mod manual;
mod mass_revoke;
mod migrate;
mod output;
mod policy;
mod proxy;
mod receipt;
mod serve;
mod service;
mod token;
mod user;
mod when;
mod whoami;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Parser, Subcommand};
use keygate_authority::{Authority, Origin, Settings, db::Db};

use crate::{
    config,
    edge::{Clock, Rng},
};

/// API tokens for any HTTP API: scoped, expiring, audited, revoked at once.
#[derive(Parser)]
#[command(name = "keygate", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "customer, user, service, policy, audit and gates are for the operator and work on the database (--db).\n\
                        login, logout, whoami, token, automation-token, event and explain ask a running server (--url)."
)]
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
    /// Stand before an API: a reverse proxy with the gate inside
    #[command(
        after_help = "Examples:\n  keygate proxy --upstream http://127.0.0.1:3000 --listen 0.0.0.0:8000\n  \
                            keygate proxy --upstream http://127.0.0.1:3000 --follow https://keygate.example \\\n    \
                            --token-file gate.token"
    )]
    Proxy(proxy::Proxy),
    /// Decide without a database, following a node: every way in of serve
    #[command(
        after_help = "Example:\n  keygate gate --follow https://keygate.example --token-file gate.token \\\n    \
                            --way nginx=127.0.0.1:8081"
    )]
    Gate(gate::GateCommand),
    /// The gates that follow: where each is, when it was heard, how long its lease lasts
    #[command(after_help = "Example:\n  keygate gates --db sqlite:keygate.db")]
    Gates(gates::Gates),
    /// Customers: the organisations that everything belongs to
    #[command(subcommand)]
    Customer(customer::Command),
    /// People
    #[command(subcommand)]
    User(user::Command),
    /// Services: what tokens can be limited to
    #[command(subcommand)]
    Service(service::Command),
    /// Policies: what protected APIs are, and who may do what there
    #[command(subcommand)]
    Policy(policy::Command),
    /// The audit log
    #[command(subcommand)]
    Audit(audit::Command),
    /// Epochs: what begins where a record was restored
    #[command(subcommand)]
    Epoch(epoch::Command),
    /// Log in to a running server, and keep a token for the commands below
    #[command(
        after_help = "Example:\n  keygate login --url https://keygate.example --login ada@example.com --expires 30d"
    )]
    Login(login::Login),
    /// Revoke the kept token and forget it
    #[command(after_help = "Example:\n  keygate logout")]
    Logout(login::Logout),
    /// Who you are to the server, and what you may use
    #[command(after_help = "Example:\n  keygate whoami --json")]
    Whoami(whoami::Whoami),
    /// Your tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Tokens that belong to the account and not to a person
    #[command(subcommand)]
    AutomationToken(automation_token::Command),
    /// Bring the schema of a PostgreSQL database up to date, and say who may use it
    #[command(after_help = migrate::EXAMPLES)]
    Migrate(migrate::Migrate),
    /// The database as a whole
    #[command(subcommand)]
    Db(db::Command),
    /// The audit log, over the API
    #[command(subcommand)]
    Event(event::Command),
    /// Receipts: what proves that a revoke is enforced
    #[command(subcommand)]
    Receipt(receipt::Command),
    /// Why a request was refused, by the id that came with the refusal
    #[command(after_help = "Example:\n  keygate explain 8cTt…")]
    Explain(explain::Explain),
    /// Whether the proxy before a protected API refuses what it should, also without Keygate
    #[command(after_help = "Example:\n  keygate doctor --probe https://api.shop.example.com/orders")]
    Doctor(doctor::Doctor),
    /// Print a script that completes commands in a shell
    #[command(after_help = "Example:\n  keygate completions bash > /etc/bash_completion.d/keygate")]
    Completions(manual::Completions),
    /// Write the manual pages
    #[command(after_help = "Example:\n  keygate man --dir /usr/local/share/man/man1")]
    Man(manual::Man),
}

/// Which database a command works on.
#[derive(Args)]
struct Database {
    /// The database, of a stopped or a running server
    #[arg(
        long,
        env = "KEYGATE_DB",
        value_name = "ADDRESS",
        default_value = "sqlite:keygate.db",
        hide_env_values = true
    )]
    db: String,
    /// The key file [default: PATH.key beside a file, else keygate.key]
    #[arg(long, env = "KEYGATE_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The policy of the server, if it has one of its own: its roles and scopes are those there are
    #[arg(long, env = "KEYGATE_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
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
        settings(&self.db, self.key_file.as_ref(), self.policy.as_ref(), rng)
    }
}

/// The database that an address names.
fn database(address: &str) -> anyhow::Result<Db> {
    address.parse().map_err(anyhow::Error::msg)
}

fn settings(
    db: &str,
    key_file: Option<&PathBuf>,
    policy: Option<&PathBuf>,
    rng: &Rng,
) -> anyhow::Result<Settings> {
    let policy = Arc::new(config::policy(policy)?);
    let mut settings = Settings::new(database(db)?, policy, rng.bytes()?);
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
            ExitCode::from(if why.is::<client::Refusal>() { 1 } else { 2 })
        }
    }
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Demo(demo) => demo.run(),

            Self::Serve(serve) => serve.run(),
            Self::Proxy(proxy) => proxy.run(),
            Self::Gate(gate) => gate.run(),
            Self::Gates(gates) => gates.run(),
            Self::Customer(command) => command.run(),
            Self::User(command) => command.run(),
            Self::Service(command) => command.run(),
            Self::Policy(command) => command.run(),
            Self::Audit(command) => command.run(),
            Self::Epoch(command) => command.run(),
            Self::Receipt(command) => command.run(),
            Self::Migrate(migrate) => migrate.run(),
            Self::Db(command) => command.run(),
            Self::Login(login) => login.run(),
            Self::Logout(logout) => logout.run(),
            Self::Whoami(whoami) => whoami.run(),
            Self::Token(command) => command.run(),
            Self::AutomationToken(command) => command.run(),
            Self::Event(command) => command.run(),
            Self::Explain(explain) => explain.run(),
            Self::Doctor(doctor) => doctor.run(),
            Self::Completions(completions) => completions.run(),
            Self::Man(man) => man.run(),
        }
    }
}

/// Runs one command to its end.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    crate::log::start("warn");
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// What serves on this many threads; on as many as there are cores unless said.
fn runtime(workers: Option<usize>) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match workers {
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Some(workers) = workers.filter(|workers| *workers > 1) {
        builder.worker_threads(workers);
    }
    builder.enable_all().build()
}
