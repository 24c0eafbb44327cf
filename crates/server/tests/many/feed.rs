//! The feed as a gate in this process hears it.

use std::{
    io::Read as _,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keygate_gate::{
    Client, Gate,
    follow::{Follower, Settings, Source},
    lease::{Lease, uptime},
};
use keygate_model::{
    Ask, Host, Method, Path, Policy, Position, Span, Verdict,
    policy::OWN_POLICY,
    token::{Brand, Foreign, Presented},
};
use keygate_server::edge::Stopwatch;

use crate::{
    house::{HOST, House, Token},
    process::now,
};

/// How long anything may take that is not about time.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Following {
    pub(crate) gate: Arc<Gate>,
    follower: Arc<Follower>,
    beats: Arc<AtomicU64>,
    pub(crate) runtime: tokio::runtime::Runtime,
}

/// The lease of the gates here, and the house's.
pub(crate) const LEASE_SECONDS: u64 = 3;

/// A number that was never drawn before, in this process.
fn drawn() -> u128 {
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    u128::from(std::process::id()) << 64 | u128::from(DRAWN.fetch_add(1, Ordering::Relaxed))
}

impl Following {
    pub(crate) fn start(urls: &[String], token: &Token) -> Self {
        let lease = Lease::of(Span::of(Duration::from_secs(LEASE_SECONDS)).unwrap(), uptime);
        let gate = Gate::new(Arc::new(Policy::compile(OWN_POLICY).unwrap()), 0).with_lease(lease);
        let gate = Arc::new(gate);
        let beats = Arc::new(AtomicU64::new(0));
        let (counted, watch) = (Arc::clone(&beats), Stopwatch::start());
        let settings = Settings {
            sources: urls.iter().map(|url| url.parse::<Source>().unwrap()).collect(),
            token: token.secret.clone().into(),
            name: "test".to_owned(),
            clock: Box::new(move || watch.elapsed()),
            now: Box::new(now),
            chance: Box::new(drawn),
            on_heartbeat: Box::new(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            }),
            silence_max: Duration::from_secs(30),
        };
        let follower = Arc::new(Follower::new(Arc::clone(&gate), settings));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let following = Arc::clone(&follower);
        runtime.spawn(async move { following.follow().await });
        Self { gate, follower, beats, runtime }
    }

    pub(crate) fn verdict(&self, token: &Token) -> Verdict {
        verdict(&self.gate, token)
    }

    /// Waits until something is so. How long that took.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> Duration {
        let watch = Stopwatch::start();
        while !is_so(self) {
            assert!(watch.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        watch.elapsed()
    }

    pub(crate) fn allows(&self, token: &Token) -> bool {
        matches!(self.verdict(token), Verdict::Allow(_))
    }
}

/// What a gate says of a token for the shop.
pub(crate) fn verdict(gate: &Gate, token: &Token) -> Verdict {
    let ask = Ask {
        host: Host::parse(HOST).ok(),
        method: Method::Get,
        path: Path::new("/orders/17"),
        secret: Ok(Presented::parse(token.secret.as_bytes(), &Brand::default(), Foreign::Refused).unwrap()),
        at_least: Position(0),
    };
    gate.authorize(&ask, Client { ip: None, user_agent: "test" }, now())
}

#[test]
fn a_gate_hears_of_everything_and_a_revoke_reaches_it_in_a_tenth_of_a_second() {
    let house = House::new();
    let (gate_token, before) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    let gates = [0, 1].map(|_| Following::start(&[house.url()], &gate_token));
    assert!(matches!(gates[0].verdict(&before), Verdict::CannotTell(_)) || gates[0].gate.is_open());
    for gate in &gates {
        gate.until("the snapshot", |gate| gate.allows(&before));
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let token = house.token(&house.tenant, "shop:read");
        for gate in &gates {
            gate.until("a new token", |gate| gate.allows(&token));
        }
        house.revoke(&token);
        for gate in &gates {
            slowest = slowest.max(gate.until("the revoke", |gate| !gate.allows(&token)));
            assert!(matches!(gate.verdict(&token), Verdict::Deny(_)));
        }
    }
    assert!(slowest <= Duration::from_millis(100), "{slowest:?}");
    assert!(gates.iter().all(|gate| gate.allows(&before)), "the others are as they were");
    gates[0].until("a lease", |gate| gate.beats.load(Ordering::Relaxed) > 0);
    for gate in gates {
        assert_eq!((gate.follower.status().snapshots(), gate.follower.status().resumed()), (1, 0));
        gate.runtime.shutdown_background();
    }
}

/// Stands before a node, and cuts each connection after so many bytes of it; those after the last of them after none.
fn relay(node: SocketAddr, cuts: &'static [usize]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let cuts = cuts.iter().copied().chain(std::iter::repeat(usize::MAX));
        for (inward, cut) in listener.incoming().map_while(Result::ok).zip(cuts) {
            let Ok(outward) = TcpStream::connect(node) else { return };
            let (mut from_gate, mut to_node) = (inward.try_clone().unwrap(), outward.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from_gate, &mut to_node));
            std::thread::spawn(move || {
                let (mut from_node, mut to_gate) = (outward.take(cut as u64), inward);
                let _ = std::io::copy(&mut from_node, &mut to_gate);
                let _ = to_gate.shutdown(Shutdown::Both);
                let _ = from_node.into_inner().shutdown(Shutdown::Both);
            });
        }
    });
    address
}

#[test]
fn a_stream_that_breaks_off_anywhere_leaves_nothing_half_done() {
    let house = House::new();
    let (gate_token, kept) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    let whole = Following::start(&[house.url()], &gate_token);
    whole.until("the whole", |gate| gate.allows(&kept));
    // Into the preface, the head of the answer, the hello, the snapshot, and the changes after it.
    let through = relay(house.node.address, &[0, 1, 30, 120, 300, 500, 700, 900, 1_100, 1_300, 1_500, 4_000]);
    let broken = Following::start(&[format!("http://{through}")], &gate_token);
    let revoked = house.token(&house.tenant, "shop:read");
    broken.until("the rest", |gate| gate.allows(&kept));
    house.revoke(&revoked);
    let last = house.token(&house.tenant, "shop:read");
    for gate in [&whole, &broken] {
        gate.until("the last", |gate| gate.allows(&last) && !gate.allows(&revoked));
        gate.until("the same position", |gate| gate.gate.position() == whole.gate.position());
    }
    assert_eq!(broken.gate.digest(None), whole.gate.digest(None));
    let ends: u64 = broken.follower.status().ends().map(|(_, count)| count).sum();
    assert!(ends >= 10, "{ends}");
    for gate in [whole, broken] {
        gate.runtime.shutdown_background();
    }
}
