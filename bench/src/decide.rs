//! Deciding in process: a secret in, a verdict out, against one SHA-256 of the same secret; and what a token costs in
//! memory.

use std::{hint::black_box, net::IpAddr, sync::Arc};

use keygate_gate::{Client, Gate};
use keygate_model::{
    Ask, Batch, Digest, Host, Method, Path, Policy, PolicyId, Position, Record, Timestamp, Verdict,
    policy::OWN_POLICY,
    record::PolicyRecord,
    token::{Brand, Foreign, Presented},
};

use crate::{
    fixture::{self, Draw, median},
    report::{Bar, Row},
};

/// Secrets that the measured decisions draw from; spread over all tokens.
const DRAWN: u64 = 1_000_000;

/// Secrets in a lap, and laps: the medians of interleaved laps are compared. A lap's secrets are laid side by side
/// first, so that neither side pays for fetching what a request would have brought along.
const LAP: usize = 512;
const LAPS: usize = 2401;

/// The length of a secret.
const SECRET_LEN: usize = 53;

/// Measures with this many tokens. `bar` is for the decision; memory is measured along.
///
/// # Errors
/// If a decision is not what it must be.
pub fn measure(tokens: u64, bar: f64) -> anyhow::Result<Vec<Row>> {
    let stride = (tokens / DRAWN).max(1);
    let drawn: Vec<String> =
        (0..tokens.min(DRAWN)).map(|number| fixture::secret(number * stride).reveal().to_string()).collect();
    let before = resident_bytes()?;
    let gate = fill(tokens)?;
    let bytes_a_token = (resident_bytes()?.saturating_sub(before)) as f64 / tokens as f64;
    let (mut decide, mut sha) = (Vec::new(), Vec::new());
    let (mut draw, brand, path) =
        (Draw::new(7), Brand::default(), format!("/service/{}/purge/front", fixture::SERVICE));
    for _ in 0..LAPS {
        let order = lay_out((0..LAP).map(|_| drawn[draw.below(drawn.len() as u64) as usize].as_str()))?;
        sha.push(lap(&order, hash)?);
        decide.push(lap(&order, |secret| allowed(&gate, &brand, &path, secret))?);
    }
    let (decide, sha) = (median(decide), median(sha));
    let (_, table_bytes) = gate.size();
    drop(gate);
    let read = random_read(table_bytes);
    let mut rows = vec![Row {
        what: format!("decide, {} tokens", short(tokens)),
        ours: format!("{decide:.0} ns"),
        yardstick: format!("{sha:.0} ns, one SHA-256"),
        ratio: decide / sha,
        bar: Bar::Most(bar),
        note: format!(
            "parse, digest, route, look-up, law, mark; one random read of as much memory: {read:.0} ns"
        ),
    }];
    if tokens >= 10_000_000 {
        rows.push(Row {
            what: format!("memory per token, {} tokens", short(tokens)),
            ours: format!("{bytes_a_token:.1} bytes"),
            yardstick: "resident set, all of it".to_owned(),
            ratio: bytes_a_token,
            bar: Bar::Most(96.0),
            note: format!("with {} owners", fixture::OWNERS),
        });
    }
    Ok(rows)
}

/// Routes of the protected API that is decided about.
const ROUTES: usize = 500;

/// A protected API whose routes name a service and a thing.
#[must_use]
pub fn api(routes: usize) -> String {
    let mut text = "name = \"bench\"\nhosts = [\"api.bench\"]\ncustomers = \"all\"\n[actions]\n".to_owned();
    for number in 0..routes.min(100) {
        text.push_str(&format!("\"thing-{number}:use\" = {{}}\n"));
    }
    text.push_str("[scopes]\npurge_select = [\"*\"]\n[roles]\nengineer = [\"*\"]\n[routes]\n");
    for number in 0..routes {
        let action = number % 100;
        text.push_str(&format!(
            "\"POST /things-{number}/{{service}}/items/{{item}}\" = {{ action = \"thing-{action}:use\" }}\n"
        ));
    }
    text
}

/// Measures deciding about a protected API, with the route to be found among many.
///
/// # Errors
/// If a decision is not what it must be.
pub fn protected() -> anyhow::Result<Row> {
    let gate = fill(DRAWN)?;
    let text = api(ROUTES);
    let policy = PolicyRecord { id: PolicyId::from_bits(1), text: Some(text), retired: Vec::new() };
    gate.apply(Batch { position: Position(3), records: vec![Record::Policy(policy)] });
    let drawn: Vec<String> = (0..DRAWN).map(|number| fixture::secret(number).reveal().to_string()).collect();
    let paths: Vec<String> =
        (0..ROUTES).map(|number| format!("/things-{number}/{}/items/0af31c", fixture::SERVICE)).collect();
    let (mut draw, brand, mut at) = (Draw::new(7), Brand::default(), 0);
    let (mut decide, mut sha) = (Vec::new(), Vec::new());
    for _ in 0..LAPS {
        let order = lay_out((0..LAP).map(|_| drawn[draw.below(DRAWN) as usize].as_str()))?;
        sha.push(lap(&order, hash)?);
        decide.push(lap(&order, |secret| {
            at = (at + 7) % ROUTES;
            let secret = Presented::parse(secret, &brand, Foreign::Refused)?;
            let host = Some(Host::parse("api.bench")?);
            let path = Path::new(&paths[at]);
            is_allowed(
                &gate,
                &Ask { host, method: Method::Post, path, secret: Ok(secret), at_least: Position(0) },
            )
        })?);
    }
    let (decide, sha) = (median(decide), median(sha));
    Ok(Row {
        what: format!("decide about a protected API of {ROUTES} routes, 1 M tokens"),
        ours: format!("{decide:.0} ns"),
        yardstick: format!("{sha:.0} ns, one SHA-256"),
        ratio: decide / sha,
        bar: Bar::Most(6.0),
        note: "host, parse, digest, route, service, look-up, law, mark".to_owned(),
    })
}

/// Measures refusing secrets whose checksum is wrong.
///
/// # Errors
/// If one is not refused.
pub fn malformed() -> anyhow::Result<Row> {
    let brand = Brand::default();
    let wrong = |number: u64| {
        let mut secret = fixture::secret(number).reveal().to_string();
        let last = if secret.ends_with('0') { '1' } else { '0' };
        secret.pop();
        secret.push(last);
        secret
    };
    let secrets: Vec<String> = (0..10_000).map(wrong).collect();
    let order = lay_out(secrets.iter().cycle().take(LAP).map(String::as_str))?;
    let (mut refuse, mut sha) = (Vec::new(), Vec::new());
    for _ in 0..LAPS {
        sha.push(lap(&order, hash)?);
        refuse.push(lap(&order, |secret| match Presented::parse(secret, &brand, Foreign::Refused) {
            Err(_) => Ok(()),
            Ok(_) => anyhow::bail!("a wrong checksum was taken"),
        })?);
    }
    let (refuse, sha) = (median(refuse), median(sha));
    Ok(Row {
        what: "refuse a malformed secret".to_owned(),
        ours: format!("{refuse:.1} ns"),
        yardstick: format!("{sha:.0} ns, one SHA-256"),
        ratio: refuse / sha,
        bar: Bar::Most(0.5),
        note: "no look-up, no digest".to_owned(),
    })
}

/// A gate with so many tokens.
pub(crate) fn fill(tokens: u64) -> anyhow::Result<Gate> {
    let gate = Gate::new(Arc::new(Policy::compile(OWN_POLICY)?), usize::try_from(tokens)?);
    gate.apply(Batch { position: Position(1), records: fixture::directory() });
    let mut next = 0;
    while next < tokens {
        let end = (next + 8192).min(tokens);
        let records =
            (next..end).map(|number| fixture::token(number, fixture::secret(number).digest())).collect();
        gate.apply(Batch { position: Position(2), records });
        next = end;
    }
    gate.open();
    Ok(gate)
}

/// Nanoseconds of one read at random in this much memory, each read telling where the next one is: what no table of this
/// size can be faster than on this machine.
fn random_read(bytes: usize) -> f64 {
    let lines = bytes / 64;
    let mut table: Vec<[u32; 16]> = (0..lines).map(|line| [line as u32; 16]).collect();
    let mut draw = Draw::new(11);
    // Sattolo's shuffle: one cycle through all of them.
    for line in (1..lines).rev() {
        let other = draw.below(line as u64) as usize;
        let kept = table[line][0];
        table[line][0] = table[other][0];
        table[other][0] = kept;
    }
    let (start, mut at) = (fixture::now(), 0_u32);
    for _ in 0..READS {
        at = black_box(table[at as usize][0]);
    }
    start.elapsed().as_nanos() as f64 / f64::from(READS)
}

/// Reads of [`random_read`].
const READS: u32 = 1_000_000;

fn allowed(gate: &Gate, brand: &Brand, path: &str, secret: &[u8]) -> anyhow::Result<()> {
    let secret = Presented::parse(secret, brand, Foreign::Refused)?;
    let ask = Ask {
        host: None,
        method: Method::Post,
        path: Path::new(path),
        secret: Ok(secret),
        at_least: Position(0),
    };
    is_allowed(gate, &ask)
}

fn is_allowed(gate: &Gate, ask: &Ask<'_>) -> anyhow::Result<()> {
    let client = Client { ip: Some(IpAddr::from([127, 0, 0, 1])), user_agent: "bench" };
    match gate.authorize(ask, client, Timestamp::from_seconds(1_800_000_000)) {
        Verdict::Allow(_) => Ok(()),
        other => anyhow::bail!("the decision was {other:?}"),
    }
}

fn hash(secret: &[u8]) -> anyhow::Result<()> {
    black_box(Digest::of(secret));
    Ok(())
}

fn lay_out<'s>(secrets: impl Iterator<Item = &'s str>) -> anyhow::Result<Vec<[u8; SECRET_LEN]>> {
    secrets.map(|secret| Ok(secret.as_bytes().try_into()?)).collect()
}

/// Nanoseconds an item.
fn lap(order: &[[u8; SECRET_LEN]], mut work: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = fixture::now();
    for secret in order {
        work(black_box(secret))?;
    }
    Ok(start.elapsed().as_nanos() as f64 / order.len() as f64)
}

fn resident_bytes() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).unwrap_or_default().parse()?;
    Ok(pages * 4096)
}

fn short(tokens: u64) -> String {
    if tokens >= 1_000_000 { format!("{} M", tokens / 1_000_000) } else { format!("{} k", tokens / 1000) }
}
