//! How long after a revoke was asked for the last request is let in, and what a receipt waits for.

use std::{net::SocketAddr, path::Path, sync::mpsc, time::Instant};

use super::{
    ask::{Line, Times, ms},
    house::{House, secret, until_it_knows},
};
use crate::{
    durable::append_and_sync,
    fixture,
    report::{Bar, Row},
    start::Server,
};

/// How many tokens are revoked for each figure, and how many with a receipt.
const HISTORIES: u64 = 2000;
const RECEIPTS: u64 = 1000;

/// How long a revoke may take before something else is wrong.
const REVOKED_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// How long between two questions to the same gate, beside the time of the answers.
const PACE: std::time::Duration = std::time::Duration::from_micros(200);

/// Measures revokes at a node alone, and with two gates.
///
/// # Errors
/// Whatever goes wrong.
pub(super) fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let house = House::with(folder, 2 * HISTORIES + 2 * RECEIPTS + 100)?;
    let node = house.node.address;
    let loopback = loopback(node)?;
    let disk = 1000.0 / append_and_sync(&folder.join("append"))?;
    let alone = histories(node, &[node], 0..HISTORIES)?;
    let gates = two_gates(&house)?;
    let asked = [node, gates[0].address, gates[1].address];
    let together = histories(node, &asked, HISTORIES..2 * HISTORIES)?;
    Ok(vec![
        Row {
            what: "revoke to last accept, one node".to_owned(),
            ours: alone.to_string(),
            yardstick: format!("{disk:.2} ms, append 4 KiB and sync"),
            ratio: alone.p99(),
            bar: Bar::Most(100.0),
            note: format!("from the call; p99 in ms, {} histories", alone.count()),
        },
        Row {
            what: "revoke to last accept, node and 2 gates".to_owned(),
            ours: together.to_string(),
            yardstick: format!("{loopback:.2} ms, a loopback round trip, p50"),
            ratio: together.p99(),
            bar: Bar::Most(100.0),
            note: format!("from the call; p99 in ms, {} histories", together.count()),
        },
    ])
}

/// Measures revokes with a receipt against plain ones, in turns.
///
/// # Errors
/// Whatever goes wrong.
pub(super) fn enforced(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let house = House::with(folder, 2 * HISTORIES + 2 * RECEIPTS + 100)?;
    let _gates = two_gates(&house)?;
    let mut line = Line::to(house.node.address)?;
    let (mut plain, mut enforced) = (Vec::new(), Vec::new());
    for number in 0..RECEIPTS {
        let start = fixture::now();
        revoke(&mut line, number)?;
        plain.push(ms(start.elapsed()));
        let secret = secret(RECEIPTS + number);
        let headers = [("Fastly-Key", secret.as_str()), ("Prefer", "enforced, wait=30")];
        let start = fixture::now();
        let answer = line.send("DELETE", "/tokens/self", &headers, "")?;
        enforced.push(ms(start.elapsed()));
        let said = answer.json(200)?;
        let gates = said["gates"].as_array().map_or(0, Vec::len);
        anyhow::ensure!(gates == 2 && said["receipt"].is_string(), "a receipt of {gates} gates: {said}");
    }
    let (plain, enforced) = (Times::of(plain), Times::of(enforced));
    Ok(vec![Row {
        what: "enforced revoke, 2 gates, call to receipt".to_owned(),
        ours: enforced.to_string(),
        yardstick: format!("plain revoke, {plain}"),
        ratio: enforced.p99(),
        bar: Bar::Most(150.0),
        note: format!("p99 in ms, {} of each in turns", enforced.count()),
    }])
}

/// Two gates that know everything.
fn two_gates(house: &House) -> anyhow::Result<[Server; 2]> {
    let gates = [house.gate("one", &[])?, house.gate("two", &[])?];
    for gate in &gates {
        until_it_knows(gate.address, &secret(2 * HISTORIES + 2 * RECEIPTS))?;
    }
    Ok(gates)
}

/// Revokes tokens one by one while somebody asks at every gate: milliseconds from the call to the last answer that let it in.
fn histories(node: SocketAddr, gates: &[SocketAddr], numbers: std::ops::Range<u64>) -> anyhow::Result<Times> {
    let mut lines = gates.iter().map(|gate| Line::to(*gate)).collect::<anyhow::Result<Vec<_>>>()?;
    let (mut authority, mut times) = (Line::to(node)?, Vec::new());
    for number in numbers {
        let last = std::thread::scope(|scope| {
            let (said, heard) = mpsc::channel();
            let lines = &mut lines;
            let asking = scope.spawn(move || last_accept(lines, &secret(number), &said));
            // If they never knew it, nobody says so.
            let start = heard.recv().map(|()| fixture::now());
            if start.is_ok() {
                revoke(&mut authority, number)?;
            }
            let last = asking.join().map_err(|_| anyhow::anyhow!("whoever asks has died"))??;
            anyhow::Ok(last.saturating_duration_since(start?))
        })?;
        times.push(ms(last));
    }
    Ok(Times::of(times))
}

/// Asks at each gate until it refuses, and says once that all let it in: when the last answer came that did.
fn last_accept(lines: &mut [Line], secret: &str, said: &mpsc::Sender<()>) -> anyhow::Result<Instant> {
    for line in lines.iter_mut() {
        let status = line.asks(secret)?;
        anyhow::ensure!(status == 200, "{status} about a token that is alive");
    }
    let mut last = fixture::now();
    said.send(())?;
    let mut open: Vec<&mut Line> = lines.iter_mut().collect();
    let start = last;
    while !open.is_empty() {
        anyhow::ensure!(start.elapsed() < REVOKED_MAX, "a token is let in long after it was to be revoked");
        let mut still = Vec::new();
        for line in open {
            match line.asks(secret)? {
                200 => {
                    last = fixture::now();
                    still.push(line);
                }
                401 => {}
                status => anyhow::bail!("{status} about a token that is revoked"),
            }
        }
        open = still;
        std::thread::sleep(PACE);
    }
    Ok(last)
}

/// Revokes a token, as itself.
pub(super) fn revoke(line: &mut Line, number: u64) -> anyhow::Result<()> {
    let answer = line.send("DELETE", "/tokens/self", &[("Fastly-Key", &secret(number))], "")?;
    anyhow::ensure!(answer.status == 204, "{}: {}", answer.status, answer.body);
    Ok(())
}

/// The yardstick: the shortest answer there is, over the same kind of connection.
fn loopback(node: SocketAddr) -> anyhow::Result<f64> {
    let (mut line, mut times) = (Line::to(node)?, Vec::new());
    for _ in 0..2000 {
        let start = fixture::now();
        line.send("GET", "/livez", &[], "")?;
        times.push(ms(start.elapsed()));
    }
    Ok(Times::of(times).p50())
}
