//! The gate at the edge: nginx with the files that we ship, asking us or a server that allows everything; and `keygate proxy`
//! with its gate, against proxies that ask such a server.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{
    decide,
    envoy::Envoy,
    fixture::{self, median},
    http::OnCore,
    load::{Load, Outcome, Requests, cpu},
    proxy::{nginx_with, upstream},
    report::{Bar, Row},
    start::{Server, beside, database, free_address},
};

const TOKENS: u64 = 100_000;
/// How many of them ask. A token's first use is noted and written to the database: among all of them, almost every request
/// of a short run would be a first one.
const ASKING: u64 = 1000;
const LAUNCHES: usize = 5;

/// The files that we ship, but for their addresses.
const SITE: &str = include_str!("../../deploy/nginx/keygate.conf");
const HEADERS: &str = include_str!("../../deploy/nginx/keygate-headers.conf");

/// Measures, from core 1, where the API is too; whoever proxies and whoever is asked share core 0.
///
/// # Errors
/// If a run was not clean.
pub fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let db = database(folder, TOKENS)?;
    protect(folder, &db)?;
    let _away = OnCore::one()?;
    let api = upstream(folder, 100)?;
    let tokens: Vec<String> =
        (0..ASKING).map(|number| fixture::secret(number).reveal().to_string()).collect();
    let bench = Bench { tokens: &tokens };
    let mut found = Found::default();
    for _ in 0..LAUNCHES {
        let allowing = Server::yardstick("bare200")?;
        let nginx = asking(folder, &allowing, &api)?;
        found.allowing.push(bench.full(nginx.address, [nginx.pid(), allowing.pid()])?.0);
        found.allowing_alone.push(bench.alone(nginx.address)?);
        drop((nginx, allowing));
        let keygate = Server::keygate(folder, &db)?;
        let nginx = asking(folder, &keygate, &api)?;
        let (rate, connections) = bench.full(nginx.address, [nginx.pid(), keygate.pid()])?;
        found.ours.push(rate);
        found.connections.push(connections);
        found.ours_alone.push(bench.alone(nginx.address)?);
        drop((nginx, keygate));
        let proxy = Server::gated(&db, api.address)?;
        found.proxy.push(bench.full(proxy.address, [proxy.pid()])?.0);
        drop(proxy);
        let allowing = Server::yardstick("allow_grpc")?;
        let envoy = Envoy::new(folder, allowing.address)?;
        found.envoy.push(bench.full(envoy.address, [envoy.child.id(), allowing.pid()])?.0);
    }
    Ok(found.rows())
}

/// What all launches found: requests a second of a whole core, and microseconds for one request at a time.
#[derive(Default)]
struct Found {
    allowing: Vec<f64>,
    ours: Vec<f64>,
    connections: Vec<f64>,
    allowing_alone: Vec<f64>,
    ours_alone: Vec<f64>,
    proxy: Vec<f64>,
    envoy: Vec<f64>,
}

impl Found {
    fn rows(self) -> Vec<Row> {
        let [allowing, ours, proxy, envoy] = [self.allowing, self.ours, self.proxy, self.envoy].map(median);
        let [allowing_alone, ours_alone, connections] =
            [self.allowing_alone, self.ours_alone, self.connections].map(median);
        let by_core = format!("by the time of a core that all of it used; {LAUNCHES} launches");
        let rate = |what: &str, ours: f64, theirs: f64, whose: &str, least: f64| Row {
            what: what.to_owned(),
            ours: format!("{:.1} k/s", ours / 1000.0),
            yardstick: format!("{:.1} k/s, {whose}", theirs / 1000.0),
            ratio: ours / theirs,
            bar: Bar::Least(least),
            note: by_core.clone(),
        };
        let all_allowed = "the same with an always-allowing server";
        let to_all_allowed = "nginx with auth_request to an always-allowing server";
        vec![
            rate("nginx with our auth_request", ours, allowing, all_allowed, 0.9),
            Row {
                what: "time added to one request at a time, p50".to_owned(),
                ours: format!("{:.0} µs", ours_alone - allowing_alone),
                yardstick: format!("{allowing_alone:.0} µs, {all_allowed}"),
                ratio: ours_alone - allowing_alone,
                bar: Bar::Most(60.0),
                note: String::new(),
            },
            Row {
                what: "connections opened per request behind nginx".to_owned(),
                ours: format!("{connections:.4}"),
                yardstick: "all that this machine opened meanwhile".to_owned(),
                ratio: connections,
                bar: Bar::Most(0.01),
                note: "the generator's 64 and those to the API among them".to_owned(),
            },
            rate("keygate proxy, with its gate", proxy, allowing, to_all_allowed, 1.2),
            rate(
                "keygate proxy, with its gate",
                proxy,
                envoy,
                "Envoy with ext_authz, without an API behind",
                2.0,
            ),
        ]
    }
}

/// What is asked for, with which tokens.
struct Bench<'a> {
    tokens: &'a [String],
}

impl Bench<'_> {
    /// Requests a second of a whole core at full load, and connections opened for each of them.
    fn full<const N: usize>(&self, at: std::net::SocketAddr, pids: [u32; N]) -> anyhow::Result<(f64, f64)> {
        let (start, opened) = (fixture::now(), opened()?);
        let spent = spent(&pids)?;
        let outcome = self.run(at, 64)?;
        let used = (crate::edge::spent(&pids)? - spent).as_secs_f64() / elapsed(start);
        let requests = outcome.requests_per_second * elapsed(start);
        Ok((outcome.requests_per_second / used, (crate::edge::opened()? - opened) / requests))
    }

    /// Microseconds for one request at a time, half of them.
    fn alone(&self, at: std::net::SocketAddr) -> anyhow::Result<f64> {
        Ok(self.run(at, 1)?.p50)
    }

    fn run(&self, at: std::net::SocketAddr, connections: usize) -> anyhow::Result<Outcome> {
        let head = format!(
            "POST /things-0/{}/items/1 HTTP/1.1\r\nHost: api.bench\r\nUser-Agent: bench/1\r\nAccept: */*\r\nFastly-Key: ",
            fixture::SERVICE
        );
        let requests = Requests::around(head, self.tokens, "\r\nContent-Length: 0\r\n\r\n");
        let mut load = Load::new(at, requests);
        (load.connections, load.warmup, load.duration) =
            (connections, Duration::from_millis(500), Duration::from_millis(2500));
        let outcome = load.run(None)?;
        anyhow::ensure!(outcome.is_clean(), "a run was not clean: {outcome}");
        Ok(outcome)
    }
}

/// Applies the policy of the API that stands behind.
fn protect(folder: &Path, db: &Path) -> anyhow::Result<()> {
    let file = folder.join("api.toml");
    fs::write(&file, decide::api(1))?;
    let mut command = Command::new(beside("keygate")?);
    command.args(["policy", "apply", "--yes"]).arg(&file).arg("--db");
    command.arg(format!("sqlite:{}", db.display())).stdout(Stdio::null());
    anyhow::ensure!(command.status()?.success(), "the policy was not applied");
    Ok(())
}

/// nginx with the files that we ship.
fn asking(folder: &Path, gate: &Server, api: &Server) -> anyhow::Result<Server> {
    let (address, mut site) = (free_address()?, SITE.to_owned());
    for (from, to) in [
        ("server 127.0.0.1:8081;", format!("server {};", gate.address)),
        ("server 127.0.0.1:9000;", format!("server {};", api.address)),
        ("keepalive 64;", "keepalive 128; keepalive_requests 1000000000;".to_owned()),
        ("listen 80;", format!("listen {address};")),
    ] {
        anyhow::ensure!(site.contains(from), "deploy/nginx/keygate.conf has no {from:?}");
        site = site.replace(from, &to);
    }
    let prefix = folder.join("nginx-asking");
    fs::create_dir_all(&prefix)?;
    fs::write(prefix.join("keygate-headers.conf"), HEADERS)?;
    nginx_with(folder, "0", "asking", address, &site)
}

/// Processor time that these have taken.
fn spent(pids: &[u32]) -> anyhow::Result<Duration> {
    let each: Vec<_> = pids.iter().map(|pid| cpu::of(*pid)).collect::<Result<_, _>>()?;
    Ok(each.iter().sum())
}

fn elapsed(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

/// Connections that this machine has opened so far.
fn opened() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/net/snmp")?;
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:")).map(str::split_ascii_whitespace);
    let (names, values) = lines.next().zip(lines.next()).context("/proc/net/snmp has no Tcp")?;
    let found = names.zip(values).find(|(name, _)| *name == "ActiveOpens");
    Ok(found.context("/proc/net/snmp has no ActiveOpens")?.1.parse()?)
}
