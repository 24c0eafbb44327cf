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
    fixture::{self, median},
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
const NOTING: Duration = Duration::from_secs(8);

/// How long the revoke may take before something else is wrong.
const REVOKED_MAX: Duration = Duration::from_secs(60);

/// How often it is done. A second or two are few questions on a machine whose host has other guests.
const LAPS: usize = 5;

/// When a question was due, and how many milliseconds later it was answered.
type Asked = Vec<(Instant, f64)>;

/// What it came to at one place, in each lap one after the other.
#[derive(Default)]
struct Seen {
    /// Seconds from the call to the last accept, and to the answer.
    took: Vec<f64>,
    answered: Vec<f64>,
    /// Milliseconds that decisions took before, during and after it.
    before: Vec<f64>,
    during: Vec<f64>,
    after: Vec<f64>,
    /// How many times the p99 before the p99 during it was.
    ratios: Vec<f64>,
}

/// Measures.
///
/// # Errors
/// Whatever goes wrong.
pub(super) fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let (mut at_node, mut at_gate) = (Seen::default(), Seen::default());
    let mut each = Vec::new();
    for _ in 0..LAPS {
        each.push(lap(folder, [&mut at_node, &mut at_gate])?);
    }
    let mut rows = at_node.rows("at the node");
    rows.extend(at_gate.rows("at a gate"));
    let each = median(each);
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

/// Does it once, and adds what is seen at the node and at a gate. How long the noting of a token takes, in seconds.
fn lap(folder: &Path, seen: [&mut Seen; 2]) -> anyhow::Result<f64> {
    let house = House::with(folder, TOKENS)?;
    let gate = house.gate("gate", &[])?;
    let superuser = house.superuser()?;
    let places = [house.node.address, gate.address];
    for place in places {
        until_it_knows(place, &superuser)?;
        until_it_knows(place, &secret(TOKENS - 1))?;
    }
    let (stop, kept) = (&AtomicBool::new(false), superuser.as_str());
    let (done, lasts, asked, each) = thread::scope(|scope| {
        let asking = places.map(|place| scope.spawn(move || keep_asking(place, kept, stop)));
        // Before the revoke too: what is compared is asked beside the same load.
        let watching = places.map(|place| scope.spawn(move || last_accept(place)));
        thread::sleep(BEFORE);
        let done = revoke_all(house.node.address, &superuser);
        let lasts = watching.map(|watch| watch.join());
        let each = noting(house.node.address);
        // Also when something went wrong: whoever asks would go on for ever.
        stop.store(true, Ordering::Release);
        (done, lasts, asking.map(|ask| ask.join()), each)
    });
    let (start, answered) = done?;
    for ((seen, last), asked) in seen.into_iter().zip(lasts).zip(asked) {
        let died = |_| anyhow::anyhow!("a thread has died");
        let (last, asked) = (last.map_err(died)??, asked.map_err(died)??);
        seen.add((start, answered, last), &asked);
    }
    each
}

impl Seen {
    fn add(&mut self, (start, answered, last): (Instant, Instant, Instant), asked: &Asked) {
        self.took.push(last.saturating_duration_since(start).as_secs_f64());
        self.answered.push((answered - start).as_secs_f64());
        let end = last.max(answered);
        let times = |is_meant: &dyn Fn(Instant) -> bool| {
            let meant = asked.iter().filter(|(due, _)| is_meant(*due));
            meant.map(|(_, took)| *took).collect::<Vec<_>>()
        };
        let (before, during) = (times(&|due| due < start), times(&|due| (start..end).contains(&due)));
        self.ratios.push(Times::of(during.clone()).p99() / Times::of(before.clone()).p99());
        self.before.extend(before);
        self.during.extend(during);
        self.after.extend(times(&|due| due >= end));
    }

    fn rows(self, place: &str) -> Vec<Row> {
        let [before, during, after] = [self.before, self.during, self.after].map(Times::of);
        let took = Times::of(self.took);
        vec![
            Row {
                what: format!("1 M tokens revoked at once, to last accept {place}"),
                ours: format!("{:.2} s, at most {:.2} s", took.p50(), took.max()),
                yardstick: format!("{:.2} s, call to answer", median(self.answered)),
                ratio: took.max(),
                bar: Bar::Most(5.0),
                note: format!("all but the superuser's and the gate's; {LAPS} times"),
            },
            Row {
                what: format!("decision p99 {place} during that"),
                ours: during.to_string(),
                yardstick: format!("before: {before}"),
                ratio: during.p99() / before.p99(),
                bar: Bar::Most(2.0),
                note: format!(
                    "{} asked, one each 2 ms; lap by lap {}; while it is noted: {after}",
                    during.count(),
                    self.ratios.iter().map(|ratio| format!("{ratio:.1}")).collect::<Vec<_>>().join(", ")
                ),
            },
        ]
    }
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
