//! Authorising over HTTP/1.1: the forward-auth door of a whole server on one core, against the same framework's bare 200
//! given the same requests.

use std::path::Path;

use crate::{
    fixture::{self, median},
    load::{Load, Outcome, Requests},
    report::{Bar, Row},
    start::{Server, database},
};

const TOKENS: u64 = 100_000;
const LAUNCHES: usize = 5;

/// Measures, from core 1; the servers run on core 0.
///
/// # Errors
/// If a run was not clean.
pub fn measure(folder: &Path) -> anyhow::Result<Row> {
    let db = database(folder, TOKENS)?;
    let _away = OnCore::one()?;
    let tokens: Vec<String> =
        (0..TOKENS).map(|number| fixture::secret(number).reveal().to_string()).collect();
    let head = format!(
        "GET /authz/auth-request HTTP/1.1\r\nHost: authz\r\nX-Original-Method: POST\r\n\
         X-Original-URL: https://api.example/service/{}/purge/front\r\nX-Forwarded-For: 192.0.2.1\r\nFastly-Key: ",
        fixture::SERVICE
    );
    let requests = || Requests::around(head.as_bytes(), &tokens, b"\r\n\r\n");
    let (mut ours, mut bare, mut own_cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..LAUNCHES {
        let outcome = run(&Server::yardstick("bare200")?, requests())?;
        bare.push(outcome.requests_per_second);
        own_cpu.push(outcome.own_cpu);
        let outcome = run(&Server::keygate(folder, &db)?, requests())?;
        ours.push(outcome.requests_per_second);
        own_cpu.push(outcome.own_cpu);
    }
    let (ours, bare, own_cpu) = (median(ours), median(bare), median(own_cpu));
    Ok(Row {
        what: "authorise over HTTP/1.1, one core, 100 k tokens".to_owned(),
        ours: format!("{:.1} k/s", ours / 1000.0),
        yardstick: format!("{:.1} k/s, axum's bare 200", bare / 1000.0),
        ratio: ours / bare,
        bar: Bar::Least(0.9),
        note: format!("the generator used {:.0} % of its core", own_cpu * 100.0),
    })
}

/// Keeps this thread on core 1 until it is dropped.
pub(crate) struct OnCore;

impl OnCore {
    pub(crate) fn one() -> anyhow::Result<Self> {
        pin("1")?;
        Ok(Self)
    }
}

impl Drop for OnCore {
    fn drop(&mut self) {
        // Only the figures that follow would suffer.
        let _ = pin("0,1");
    }
}

fn pin(cores: &str) -> anyhow::Result<()> {
    let pid = std::process::id().to_string();
    let done = std::process::Command::new("taskset").args(["-cp", cores, &pid]).output()?;
    anyhow::ensure!(done.status.success(), "taskset did not pin the bench: two cores are needed");
    Ok(())
}

/// Loads a server and says what came of it.
///
/// # Errors
/// If the run was not clean.
pub(crate) fn run(server: &Server, requests: Requests) -> anyhow::Result<Outcome> {
    let outcome = Load::new(server.address, requests).run(Some(server.pid()))?;
    anyhow::ensure!(outcome.is_clean(), "a run was not clean: {outcome}");
    Ok(outcome)
}
