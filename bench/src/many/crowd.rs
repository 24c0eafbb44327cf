//! Two hundred gates on the feed of one node: how soon each hears, and what each costs the node. They are in this process,
//! each with a replica of its own, so that their work takes from the node's two cores what it would not elsewhere.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use keygate_gate::{
    Gate,
    follow::{Follower, Settings},
    lease::{Lease, uptime},
};
use keygate_model::{Action, Circumstances, Digest, Policy, Span, Verdict, Want, policy::OWN_POLICY};
use keygate_server::edge::{Clock, Rng, Stopwatch};

use super::{
    ask::{Line, Times, ms},
    house::{House, secret},
    revoke::revoke,
};
use crate::{
    fixture,
    load::cpu,
    report::{Bar, Row},
};

const GATES: usize = 200;
const TOKENS: u64 = 1000;

/// For how long nothing changes, how many changes there are, and how long from one to the next.
const IDLE: Duration = Duration::from_secs(15);
const CHANGES: u64 = 200;
const PACE: Duration = Duration::from_millis(100);

/// How long a gate may take to hear of a change.
const HEARS_MAX: Duration = Duration::from_secs(30);

/// What was spent up to a moment.
struct Spent {
    at: Instant,
    cpu: Duration,
    sent: f64,
    received: f64,
}

/// Measures.
///
/// # Errors
/// Whatever goes wrong.
pub(super) fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let house = House::with(folder, TOKENS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let gates = (0..GATES).map(|nth| follow(&house, &runtime, nth)).collect::<anyhow::Result<Vec<_>>>()?;
    until_all(&gates, &digest(TOKENS - 1), |verdict| matches!(verdict, Verdict::Allow(_)))?;
    // What each does once is over.
    std::thread::sleep(Duration::from_secs(3));
    let quiet = Spent::by(&house)?;
    std::thread::sleep(IDLE);
    let busy = Spent::by(&house)?;
    let (mut line, mut heard, mut slowest) = (Line::to(house.node.address)?, Vec::new(), Vec::new());
    for number in 0..CHANGES {
        let start = fixture::now();
        revoke(&mut line, number)?;
        let times = until_all(&gates, &digest(number), |verdict| matches!(verdict, Verdict::Deny(_)))?;
        let times: Vec<_> = times.into_iter().map(|at| ms(at - start)).collect();
        slowest.push(times.iter().copied().fold(0.0, f64::max));
        heard.extend(times);
        std::thread::sleep(PACE.saturating_sub(start.elapsed()));
    }
    let end = Spent::by(&house)?;
    runtime.shutdown_background();
    Ok(told(&Times::of(heard), &Times::of(slowest), &quiet.until(&busy), &busy.until(&end)))
}

/// What a gate costs the node in a second: when nothing changes, and what each change adds.
struct Rate {
    seconds: f64,
    cpu_us: f64,
    sent: f64,
    received: f64,
}

fn told(heard: &Times, slowest: &Times, idle: &Rate, busy: &Rate) -> Vec<Row> {
    let by_change = busy.seconds / CHANGES as f64;
    let added = |busy: f64, idle: f64| (busy - idle) * by_change;
    let row = |what: &str, ours: String, yardstick: String, ratio: f64, note: String| Row {
        what: what.to_owned(),
        ours,
        yardstick,
        ratio,
        bar: Bar::None,
        note,
    };
    vec![
        row(
            "a revoke at 200 gates, each gate",
            heard.to_string(),
            format!("the last of them, {slowest}"),
            heard.p99(),
            format!("from the call; {CHANGES} changes, one each {} ms; p99 in ms", PACE.as_millis()),
        ),
        row(
            "bytes a gate and second, idle",
            format!("{:.0} down, {:.0} up", idle.sent, idle.received),
            format!(
                "each change: {:.0} down, {:.0} up",
                added(busy.sent, idle.sent),
                added(busy.received, idle.received)
            ),
            idle.sent + idle.received,
            "what TCP carries, without TLS and headers of packets".to_owned(),
        ),
        row(
            "processor time of the node a gate and second, idle",
            format!("{:.0} µs", idle.cpu_us),
            format!("each change: {:.0} µs", added(busy.cpu_us, idle.cpu_us)),
            idle.cpu_us,
            format!("{GATES} gates; user and system"),
        ),
    ]
}

impl Spent {
    fn by(house: &House) -> anyhow::Result<Self> {
        let port = format!("( sport = :{} )", house.node.address.port());
        let seen = Command::new("ss").args(["-tinH", "state", "established", &port]).output()?;
        let seen = String::from_utf8(seen.stdout)?;
        let sum = |name: &str| {
            let words = seen.split_ascii_whitespace().filter_map(|word| word.strip_prefix(name));
            words.filter_map(|bytes| bytes.parse::<f64>().ok()).sum::<f64>()
        };
        let (sent, received) = (sum("bytes_sent:"), sum("bytes_received:"));
        anyhow::ensure!(sent > 0.0, "ss (of iproute2) does not say what was sent");
        Ok(Self { at: fixture::now(), cpu: cpu::of(house.node.pid())?, sent, received })
    }

    fn until(&self, later: &Self) -> Rate {
        let seconds = (later.at - self.at).as_secs_f64();
        let share = |spent: f64| spent / seconds / GATES as f64;
        Rate {
            seconds,
            cpu_us: share((later.cpu - self.cpu).as_secs_f64() * 1e6),
            sent: share(later.sent - self.sent),
            received: share(later.received - self.received),
        }
    }
}

/// One of the gates.
fn follow(house: &House, runtime: &tokio::runtime::Runtime, nth: usize) -> anyhow::Result<Arc<Gate>> {
    let lease = Lease::of(Span::of(Duration::from_secs(30)).context("a lease of no length")?, uptime);
    let gate = Arc::new(Gate::new(Arc::new(Policy::compile(OWN_POLICY)?), 0).with_lease(lease));
    let watch = Stopwatch::start();
    let settings = Settings {
        sources: vec![house.url().parse()?],
        token: house.gate_token().to_owned().into(),
        name: format!("gate-{nth}"),
        clock: Box::new(move || watch.elapsed()),
        now: Box::new(|| Clock::System.now()),
        chance: Box::new(|| Rng::System.bytes().map_or(0, u128::from_be_bytes)),
        on_heartbeat: Box::new(|_| {}),
        silence_max: HEARS_MAX,
    };
    let follower = Follower::new(Arc::clone(&gate), settings);
    runtime.spawn(async move { follower.follow().await });
    Ok(gate)
}

fn digest(number: u64) -> Digest {
    Digest::of(secret(number).as_bytes())
}

/// Looks at all gates in turn until each has said this of a token: when each did first.
fn until_all(
    gates: &[Arc<Gate>],
    token: &Digest,
    is_so: impl Fn(&Verdict) -> bool,
) -> anyhow::Result<Vec<Instant>> {
    let want = Want { action: Action::TOKEN_READ_SELF, service: None };
    let (start, mut times) = (fixture::now(), vec![None; gates.len()]);
    while times.contains(&None) {
        anyhow::ensure!(start.elapsed() < HEARS_MAX, "a gate has not heard of a change");
        for (gate, time) in gates.iter().zip(&mut times).filter(|(_, time)| time.is_none()) {
            if is_so(&gate.decide(token, &want, Circumstances::of(Clock::System.now(), None))) {
                *time = Some(fixture::now());
            }
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(times.into_iter().flatten().collect())
}
