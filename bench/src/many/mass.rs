//! A million tokens revoked in one call, while a node and a gate go on deciding.

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{
    ask::{Line, Times, ms},
    house::{House, secret, until_it_knows},
    snapshot::TOKENS,
};
use crate::{
    fixture,
    report::{Bar, Row},
};

/// How many tokens are looked at, spread over all.
const SAMPLES: u64 = 20;

/// How often a decision is asked for.
const PACE: Duration = Duration::from_millis(2);

/// How often one of the tokens is looked at that are revoked. Whoever looks takes from the same two cores.
const LOOK: Duration = Duration::from_millis(4);

/// How long decisions are measured before, and how long it is watched what is noted afterwards.
const BEFORE: Duration = Duration::from_secs(8);
const NOTING: Duration = Duration::from_secs(20);

/// How long the revoke may take before something else is wrong.
const REVOKED_MAX: Duration = Duration::from_secs(60);

/// When a question was due, and how many milliseconds later it was answered.
type Asked = Vec<(Instant, f64)>;

/// Measures.
///
/// # Errors
/// Whatever goes wrong.
pub(super) fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let house = House::with(folder, TOKENS)?;
    let gate = house.gate("gate", &[])?;
    let superuser = house.superuser()?;
    let places = [("at the node", house.node.address), ("at a gate", gate.address)];
    for (_, place) in places {
        until_it_knows(place, &superuser)?;
        until_it_knows(place, &secret(TOKENS - 1))?;
    }
    let (stop, kept) = (&AtomicBool::new(false), superuser.as_str());
    let (done, lasts, asked, each) = thread::scope(|scope| {
        let asking = places.map(|(_, place)| scope.spawn(move || keep_asking(place, kept, stop)));
        // Before the revoke too: what is compared is asked beside the same load.
        let watching = places.map(|(_, place)| scope.spawn(move || last_accept(place)));
        thread::sleep(BEFORE);
        let done = revoke_all(house.node.address, &superuser);
        let lasts = watching.map(|watch| watch.join());
        let each = noting(house.node.address);
        // Also when something went wrong: whoever asks would go on for ever.
        stop.store(true, Ordering::Release);
        (done, lasts, asking.map(|ask| ask.join()), each)
    });
    let ((start, answered), each) = (done?, each?);
    let mut rows = Vec::new();
    for ((place, last), asked) in places.into_iter().zip(lasts).zip(asked) {
        let died = |_| anyhow::anyhow!("a thread has died");
        let (last, asked) = (last.map_err(died)??, asked.map_err(died)??);
        rows.extend(told(place.0, (start, answered, last), &asked));
    }
    rows.push(Row {
        what: "noting a mass revoke in the rows".to_owned(),
        ours: format!("{:.2} ms a token", each * 1000.0),
        yardstick: format!("{:.0} /s", 1.0 / each),
        ratio: each * 1000.0,
        bar: Bar::None,
        note: format!("the first {} s of it, while decisions are asked for", NOTING.as_secs()),
    });
    Ok(rows)
}

/// What it came to at one place.
fn told(place: &str, (start, answered, last): (Instant, Instant, Instant), asked: &Asked) -> [Row; 2] {
    let took = last.saturating_duration_since(start).as_secs_f64();
    let end = last.max(answered);
    let times = |is_meant: &dyn Fn(Instant) -> bool| {
        Times::of(asked.iter().filter(|(due, _)| is_meant(*due)).map(|(_, took)| *took).collect())
    };
    let (before, during) = (times(&|due| due < start), times(&|due| (start..end).contains(&due)));
    let after = times(&|due| due >= end);
    [
        Row {
            what: format!("1 M tokens revoked at once, to last accept {place}"),
            ours: format!("{took:.2} s"),
            yardstick: format!("{:.2} s, call to answer", (answered - start).as_secs_f64()),
            ratio: took,
            bar: Bar::Most(5.0),
            note: "all but the superuser's and the gate's".to_owned(),
        },
        Row {
            what: format!("decision p99 {place} during that"),
            ours: during.to_string(),
            yardstick: format!("before: {before}"),
            ratio: during.p99() / before.p99(),
            bar: Bar::Most(2.0),
            note: format!("{} asked, one each 2 ms; while it is noted: {after}", during.count()),
        },
    ]
}

/// Asks about a token that stays, whether answers come or not.
fn keep_asking(place: SocketAddr, secret: &str, stop: &AtomicBool) -> anyhow::Result<Asked> {
    let (mut line, mut asked, mut due) = (Line::to(place)?, Vec::new(), fixture::now());
    while !stop.load(Ordering::Acquire) {
        due += PACE;
        thread::sleep(due.saturating_duration_since(fixture::now()));
        let status = line.asks(secret)?;
        anyhow::ensure!(status == 200, "{status} about a token that stays");
        asked.push((due, ms(due.elapsed())));
    }
    Ok(asked)
}

/// Asks about some of the tokens in turn until all are refused: when the last was let in.
fn last_accept(place: SocketAddr) -> anyhow::Result<Instant> {
    let (mut line, mut last, mut refused) = (Line::to(place)?, fixture::now(), 0);
    let samples: Vec<_> = (0..SAMPLES).map(|nth| secret(nth * (TOKENS - 1) / (SAMPLES - 1))).collect();
    let start = last;
    for sample in samples.iter().cycle() {
        anyhow::ensure!(
            start.elapsed() < REVOKED_MAX,
            "tokens are let in long after they were to be revoked"
        );
        match line.asks(sample)? {
            200 => (last, refused) = (fixture::now(), 0),
            401 => refused += 1,
            status => anyhow::bail!("{status} about a token that is to be revoked"),
        }
        if refused == samples.len() {
            break;
        }
        thread::sleep(LOOK);
    }
    Ok(last)
}

/// Revokes them: when that was asked for, and when it was answered.
fn revoke_all(node: SocketAddr, superuser: &str) -> anyhow::Result<(Instant, Instant)> {
    let mut line = Line::to(node)?;
    let headers = [("Fastly-Key", superuser), ("Content-Type", "application/json")];
    let start = fixture::now();
    let answer = line.send("POST", "/tokens/mass-revoke", &headers, "{\"kind\":\"imported\"}")?;
    let answered = fixture::now();
    let said = answer.json(200)?;
    anyhow::ensure!(said["tokens_revoked"].as_u64() == Some(TOKENS), "{said}");
    Ok((start, answered))
}

/// Seconds that the noting of one token takes: each has an event.
fn noting(node: SocketAddr) -> anyhow::Result<f64> {
    let mut line = Line::to(node)?;
    let mut position = || {
        let page = line.send("GET", "/metrics", &[], "")?.body;
        let mut lines = page.lines();
        let position = lines.find_map(|line| line.strip_prefix("keygate_replica_applied_position "));
        anyhow::Ok(position.context("no position")?.trim().parse::<f64>()?)
    };
    let (start, first) = (fixture::now(), position()?);
    thread::sleep(NOTING);
    let noted = position()? - first;
    Ok(start.elapsed().as_secs_f64() / noted)
}
