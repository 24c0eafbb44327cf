//! A gate with a million tokens: how soon it decides, new and after a restart, and how much memory a token takes.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;

use super::{
    ask::ms,
    house::{House, secret, until_it_knows},
};
use crate::{
    decide,
    fixture::{self, median},
    report::{Bar, Row},
    start::Server,
};

/// How many tokens.
pub(super) const TOKENS: u64 = 1_000_000;

/// Measures.
///
/// # Errors
/// Whatever goes wrong.
pub(super) fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let (empty, sum) = (empty(folder)?, sum()?);
    let house = House::with(folder, TOKENS)?;
    let state = house.folder().join("state");
    fs::create_dir(&state)?;
    let args = ["--state", state.to_str().context("a folder that is no text")?];
    let (gate, first) = started(&house, "gate", TOKENS - 1, &args)?;
    let full = settled(&gate)?;
    gate.stop()?;
    let kept =
        fs::read_dir(&state)?.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum::<u64>();
    let (again, restart) = started(&house, "gate", TOKENS - 1, &args)?;
    let resumed = settled(&again)?;
    let log = fs::read_to_string(house.folder().join("gate.log"))?;
    anyhow::ensure!(log.contains("\"snapshot\":false"), "the gate was told everything anew: {log}");
    let a_token = |bytes: u64| bytes as f64 / TOKENS as f64;
    let seconds = |what: &str, seconds: f64, bar, note| Row {
        what: what.to_owned(),
        ours: format!("{seconds:.2} s"),
        yardstick: "process start to first accept".to_owned(),
        ratio: seconds,
        bar: Bar::Most(bar),
        note,
    };
    Ok(vec![
        seconds("a gate's first snapshot, 1 M tokens", first, 5.0, "node on the same two cores".to_owned()),
        seconds(
            "a gate's restart from disk, 1 M tokens",
            restart,
            3.0,
            format!("{:.0} bytes a token on disk", a_token(kept)),
        ),
        Row {
            what: "a gate's memory per token, 1 M tokens".to_owned(),
            ours: format!("{:.0} bytes", a_token(full.saturating_sub(empty))),
            yardstick: format!("{:.1} MB, a gate of one token", empty as f64 / 1e6),
            ratio: a_token(full.saturating_sub(empty)),
            bar: Bar::None,
            note: format!("{:.0} bytes after the restart; RSS", a_token(resumed.saturating_sub(empty))),
        },
        Row {
            what: "a sum over a replica of 1 M tokens".to_owned(),
            ours: format!("{sum:.0} ms"),
            yardstick: "each ten minutes; changes wait for it".to_owned(),
            ratio: sum,
            bar: Bar::None,
            note: "the middle of five; the node makes one for each view that is followed".to_owned(),
        },
    ])
}

/// How many milliseconds it takes to sum up a replica, by which node and gate are compared.
fn sum() -> anyhow::Result<f64> {
    let gate = decide::fill(TOKENS)?;
    let lap = || {
        let start = fixture::now();
        std::hint::black_box(gate.digest(None));
        ms(start.elapsed())
    };
    Ok(median((0..5).map(|_| lap()).collect()))
}

/// What a gate of one token holds in memory.
fn empty(folder: &Path) -> anyhow::Result<u64> {
    let house = House::with(folder, 1)?;
    let (gate, _) = started(&house, "empty", 0, &[])?;
    settled(&gate)
}

/// A gate, and how many seconds after its start it let somebody in.
fn started(house: &House, name: &str, number: u64, more: &[&str]) -> anyhow::Result<(Server, f64)> {
    let start = fixture::now();
    let gate = house.gate(name, more)?;
    until_it_knows(gate.address, &secret(number))?;
    Ok((gate, start.elapsed().as_secs_f64()))
}

/// What a process holds in memory when it has done what it does after its start.
fn settled(server: &Server) -> anyhow::Result<u64> {
    std::thread::sleep(Duration::from_secs(4));
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid()))?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Ok(kib.context("no VmRSS")?.parse::<u64>()? * 1024)
}
