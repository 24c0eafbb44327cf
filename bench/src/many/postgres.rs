//! Tokens created durably on PostgreSQL: many clients against one, and one against PostgreSQL's own insert and commit.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use anyhow::Context as _;
use keygate_authority::{
    Settings,
    db::{Address, Db, Role, Schema},
};

use crate::{
    durable::{Office, clients},
    fixture::median,
    report::{Bar, Row},
};

const LAPS: usize = 5;

/// A row about as long as a token's, in a statement and a transaction of its own.
const INSERT: &str = "INSERT INTO yardstick (body) VALUES (repeat('x', 300));\n";

/// A server of our own, ended when dropped.
struct Postgres(PathBuf);

/// Measures.
///
/// # Errors
/// Whatever goes wrong.
pub(super) fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let server = Postgres::start()?;
    server.sql("CREATE DATABASE bench")?;
    server.sql("CREATE TABLE yardstick (id bigserial PRIMARY KEY, body text)")?;
    let key = folder.join("postgres.key");
    if key.exists() {
        fs::remove_file(&key)?;
    }
    server.sql("CREATE ROLE serving LOGIN")?;
    let role = Role::parse("serving").map_err(anyhow::Error::msg)?;
    Schema::open(&server.address("postgres")?, |schema| {
        schema.migrate()?;
        schema.grant_serving(&role)
    })?;
    let address = server.address("serving")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let settings = |policy| Settings { key, ..Settings::new(Db::Postgres(address), policy, [7; 32]) };
    let office = Arc::new(runtime.block_on(Office::with(settings))?);
    let (mut bare, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..LAPS {
        bare.push(server.inserts()?);
        one.push(runtime.block_on(clients(&office, 1, &one))?);
        many.push(runtime.block_on(clients(&office, 32, &many))?);
    }
    let (bare, one, many) = (median(bare), median(one), median(many));
    Ok(vec![
        Row {
            what: "tokens created durably on PostgreSQL, 1 client".to_owned(),
            ours: format!("{one:.0} /s"),
            yardstick: format!("{bare:.0} /s, pgbench: insert one row and commit"),
            ratio: one / bare,
            bar: Bar::None,
            note: "a Unix socket, the server's own default settings".to_owned(),
        },
        Row {
            what: "tokens created durably on PostgreSQL, 32 clients".to_owned(),
            ours: format!("{many:.0} /s"),
            yardstick: format!("{one:.0} /s, 1 client"),
            ratio: many / one,
            bar: Bar::Least(3.0),
            note: "group commit".to_owned(),
        },
    ])
}

impl Postgres {
    fn start() -> anyhow::Result<Self> {
        // Short: the path of its socket is in it.
        let server = Self(std::env::temp_dir().join(format!("kgb{}", std::process::id())));
        server.does("start", &[])?;
        Ok(server)
    }

    fn address(&self, user: &str) -> anyhow::Result<Address> {
        let place = self.0.display().to_string().replace('/', "%2F");
        Address::parse(&format!("postgres://{user}@{place}/bench")).map_err(anyhow::Error::msg)
    }

    fn sql(&self, statement: &str) -> anyhow::Result<()> {
        self.does("sql", &[statement])
    }

    fn does(&self, what: &str, with: &[&str]) -> anyhow::Result<()> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/postgres/server");
        let done = Command::new(script).arg(what).arg(&self.0).args(with).status()?;
        anyhow::ensure!(done.success(), "{script} {what} ended with {done}");
        Ok(())
    }

    /// How many rows a second PostgreSQL inserts one by one over one connection.
    fn inserts(&self) -> anyhow::Result<f64> {
        let script = self.0.join("insert.sql");
        fs::write(&script, INSERT)?;
        let installed = fs::read_dir("/usr/lib/postgresql")?.filter_map(|entry| Some(entry.ok()?.path()));
        let newest = installed.max().context("PostgreSQL is not installed: ./dev setup does it")?;
        let mut pgbench = Command::new(newest.join("bin/pgbench"));
        pgbench.args(["-n", "-U", "postgres", "-c", "1", "-T", "2", "-M", "prepared", "-h"]).arg(&self.0);
        let said = succeeded(pgbench.arg("-f").arg(&script).arg("postgres").output()?)?;
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        Ok(rate.context("pgbench names no rate")?.parse()?)
    }
}

fn succeeded(done: Output) -> anyhow::Result<String> {
    anyhow::ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Ours, and a bench keeps nothing: however it ends is fine.
        let _ = self.does("stop", &[]);
        let _ = fs::remove_dir_all(&self.0);
    }
}
