//! `ext_authz` over gRPC, against an always-allowing server of tonic's: checks a second on one core, and requests a second
//! through a real Envoy that shares that core with whoever it asks.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;

use crate::{
    fixture::{self, median},
    http::OnCore,
    load::{Load, Requests},
    report::{Bar, Row},
    start::{Server, database, eprintln},
};

mod checks;
mod frames;

const TOKENS: u64 = 100_000;
const LAUNCHES: usize = 10;

/// The file that we ship, but for its addresses, and for an API in Envoy itself.
const CONFIG: &str = include_str!("../../deploy/envoy/grpc.yaml");

/// Measures, from core 1; the servers and Envoy run on core 0.
///
/// # Errors
/// If a run was not clean.
pub fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let db = database(folder, TOKENS)?;
    let _away = OnCore::one()?;
    let tokens: Vec<String> =
        (0..TOKENS).map(|number| fixture::secret(number).reveal().to_string()).collect();
    eprintln("checking over gRPC …");
    let direct = interleaved(folder, &db, |server| {
        let found = checks::run(server.address, &tokens)?;
        Ok((found.checks_per_second, found.own_cpu))
    })?;
    eprintln("asking through Envoy …");
    let through = interleaved(folder, &db, |server| through_envoy(folder, server.address, &tokens))?;
    Ok(vec![
        row("ext_authz checks over gRPC, one core, 100 k tokens", &direct, 0.85),
        row("requests through Envoy with ext_authz, one core for both", &through, 0.87),
    ])
}

/// What all launches found: ours, the yardstick's, the generator's share of its core.
struct Found([Vec<f64>; 3]);

fn interleaved(
    folder: &Path,
    db: &Path,
    run: impl Fn(&Server) -> anyhow::Result<(f64, f64)>,
) -> anyhow::Result<Found> {
    let mut found = Found(Default::default());
    for _ in 0..LAUNCHES {
        let (rate, cpu) = run(&Server::yardstick("allow_grpc")?)?;
        found.0[1].push(rate);
        found.0[2].push(cpu);
        let (rate, cpu) = run(&Server::keygate(folder, db)?)?;
        found.0[0].push(rate);
        found.0[2].push(cpu);
        eprintln(&format!(
            "{:.0} of {:.0}",
            found.0[0].last().unwrap_or(&0.0),
            found.0[1].last().unwrap_or(&0.0)
        ));
    }
    Ok(found)
}

fn row(what: &str, found: &Found, least: f64) -> Row {
    let [ours, allowing, own_cpu] = found.0.clone().map(median);
    Row {
        what: what.to_owned(),
        ours: format!("{:.1} k/s", ours / 1000.0),
        yardstick: format!("{:.1} k/s, tonic allowing all", allowing / 1000.0),
        ratio: ours / allowing,
        bar: Bar::Least(least),
        note: format!("the generator used {:.0} % of its core; {LAUNCHES} launches", own_cpu * 100.0),
    }
}

fn through_envoy(folder: &Path, authz: SocketAddr, tokens: &[String]) -> anyhow::Result<(f64, f64)> {
    let envoy = Envoy::new(folder, authz)?;
    let head = format!(
        "POST /service/{}/purge/front HTTP/1.1\r\nHost: api.example\r\nUser-Agent: bench/1\r\nAccept: */*\r\nFastly-Key: ",
        fixture::SERVICE
    );
    let requests = Requests::around(head, tokens, "\r\nContent-Length: 0\r\n\r\n");
    let outcome = Load::new(envoy.address, requests).run(Some(envoy.child.id()))?;
    anyhow::ensure!(outcome.is_clean(), "a run was not clean: {outcome}");
    Ok((outcome.requests_per_second, outcome.own_cpu))
}

/// A running Envoy, ended when dropped.
pub(crate) struct Envoy {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Envoy {
    /// Starts it with the file that we ship, before whoever answers at `authz`.
    pub(crate) fn new(folder: &Path, authz: SocketAddr) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut text = CONFIG.to_owned();
        for (from, to) in [
            ("port_value: 10000 ", format!("port_value: {} ", address.port())),
            ("port_value: 8081 ", format!("port_value: {} ", authz.port())),
            ("route: { cluster: api }", "direct_response: { status: 200 }".to_owned()),
        ] {
            anyhow::ensure!(text.matches(from).count() == 1, "deploy/envoy/grpc.yaml has not one {from:?}");
            text = text.replace(from, &to);
        }
        let config = folder.join("envoy.yaml");
        std::fs::write(&config, text)?;
        let envoy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/clients/envoy/bin/envoy");
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(envoy).args(["--disable-hot-restart", "--concurrency", "1"]);
        command.args(["--log-level", "error", "-c"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().context("Envoy cannot be started")?;
        let envoy = Self { child, address };
        for _ in 0..500 {
            if TcpStream::connect(address).is_ok() {
                return Ok(envoy);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        anyhow::bail!("Envoy does not listen: is it installed? ./dev setup does")
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Ours, and a bench keeps nothing: however it ends is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
