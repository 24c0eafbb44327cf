//! A gate whose line to its node is cut, held or slowed (K08 a, b, d, g, h): it answers until its lease has ended, counted from
//! when it sent the last heartbeat that came back, and then it says that it cannot tell.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    clock::moment,
    house::{House, Place, Token},
    http::{Ask, Client},
    peer::free_address,
    relay::{
        Mode::{self, Hold, Pass, Trickle},
        Relay,
    },
    traffic::{Pair, Samples, Traffic},
};

const LEASE_SECONDS: u64 = 2;

/// How long a gate is cut off.
const CUT: Duration = Duration::from_secs(5);

/// A node, and a gate that follows it through a relay.
struct Scene {
    _house: House,
    _node: Place,
    at: SocketAddr,
    sudo: Token,
    pair: Pair,
    relay: Relay,
    gate: Place,
    lease: Duration,
}

impl Scene {
    fn new(lease: u64) -> Self {
        let house = House::in_a_file(lease);
        let at = free_address();
        let node = house.node(at, &[]);
        let sudo = house.operators(at, "global");
        let (pair, relay) = (Pair::new(at, &sudo), Relay::to(at));
        let gate = house.gate("gate", relay.at, &house.gate_token(at), lease);
        let lease = Duration::from_secs(lease);
        Self { _house: house, _node: node, at, sudo, pair, relay, gate, lease }
    }

    fn traffic(&self) -> Traffic {
        let relay = self.relay.handle();
        Traffic::start(self.gate.way, &self.pair, move || relay.acked())
    }

    /// What the gate itself says: whether it is ready, and how many questions it has not answered since its lease had lapsed.
    fn says(&self) -> (u16, u64) {
        let mut client = Client::new(self.gate.at);
        let page = client.must(&Ask::new("GET /metrics"));
        let page = String::from_utf8(page.body).unwrap();
        let name = "keygate_authz_requests_total{decision=\"cannot_tell\",reason=\"lease_lapsed\",protocol=\"nginx\"} ";
        let lapsed =
            page.lines().find_map(|line| line.strip_prefix(name)).map(|count| count.parse().unwrap());
        (client.must(&Ask::new("GET /readyz")).status, lapsed.unwrap_or(0))
    }

    /// Cuts the line for a while, and revokes a token meanwhile.
    fn cut(&self, (up, down): (Mode, Mode), heal: impl FnOnce(&Relay)) -> (Samples, Cut) {
        let traffic = self.traffic();
        thread::sleep(Duration::from_millis(300));
        // Until its first heartbeat had come back it could not tell either.
        let (ready, before) = self.says();
        assert_eq!(ready, 200);
        self.relay.set(up, down);
        let begun = moment();
        thread::sleep(Duration::from_millis(300));
        let (revoked, status) = self.pair.revoke(self.at, &self.sudo, "enforced, wait=4");
        thread::sleep(CUT.saturating_sub(begun.elapsed()));
        let (ready, lapsed) = self.says();
        assert!(ready == 503 && lapsed > before, "{ready}: {before}, {lapsed}");
        let healed = moment();
        self.relay.set(Pass, Pass);
        heal(&self.relay);
        traffic.until(false, 200);
        traffic.until(true, 401);
        assert_eq!(self.says().0, 200);
        (traffic.end(), Cut { begun, revoked, enforced: status == 200, healed })
    }
}

/// What was done when.
struct Cut {
    begun: Instant,
    revoked: Instant,
    enforced: bool,
    healed: Instant,
}

impl Cut {
    /// Holds the answers against it.
    fn judge(&self, name: &str, samples: &Samples, lease: Duration) {
        let oldest = samples.never_beyond(lease);
        samples.never_refused();
        // Without a receipt it is the lease that bounds it; nothing is sent through a cut line, so it has begun before.
        let bound = if self.enforced { self.revoked } else { self.begun + lease };
        samples.nobody_after(true, bound.max(self.begun));
        let first = samples.first_after(self.healed);
        // The lease was used: the gate did not simply give up at the cut.
        assert!(oldest > lease / 2, "{oldest:?}");
        let cut = samples.between(self.begun + lease, self.healed).filter(|sample| !sample.doomed);
        let (count, odd) =
            cut.fold((0, 0), |(count, odd), sample| (count + 1, odd + u32::from(sample.status != 503)));
        assert!(count > 100 && odd == 0, "of {count} answers after the lease {odd} were not 503");
        eprintln!(
            "{name}: the last that was let in asked {oldest:.2?} after the last heartbeat with an echo was sent, of {lease:?}; \
             {count} times 503; receipt after {:.2?}: {}; first answer about the revoked token: {first}",
            self.revoked - self.begun,
            self.enforced
        );
    }
}

#[test]
fn a_gate_behind_a_black_hole_lapses_and_comes_back() {
    let scene = Scene::new(LEASE_SECONDS);
    // What was under way is lost with its connections.
    let (samples, cut) = scene.cut((Hold, Hold), Relay::drop_all);
    assert!(cut.enforced, "its lease has ended, and the node must know");
    cut.judge("black hole", &samples, scene.lease);
}

#[test]
fn a_gate_that_is_not_heard_lapses_although_it_hears() {
    let scene = Scene::new(LEASE_SECONDS);
    let (samples, cut) = scene.cut((Hold, Pass), |_| {});
    assert!(cut.enforced, "its lease has ended, and the node must know");
    cut.judge("not heard", &samples, scene.lease);
}

#[test]
fn a_gate_that_hears_nothing_lapses_although_it_is_heard() {
    let scene = Scene::new(LEASE_SECONDS);
    let (samples, cut) = scene.cut((Pass, Hold), Relay::drop_all);
    cut.judge("hears nothing", &samples, scene.lease);
}

#[test]
fn a_gate_on_a_line_that_trickles_lapses() {
    let scene = Scene::new(LEASE_SECONDS);
    let (samples, cut) = scene.cut((Trickle, Trickle), |_| {});
    cut.judge("trickle", &samples, scene.lease);
}

#[test]
fn echoes_that_come_in_a_burst_give_nothing() {
    let scene = Scene::new(LEASE_SECONDS);
    let (samples, cut) = scene.cut((Hold, Hold), |_| {});
    cut.judge("burst", &samples, scene.lease);
}

/// For three minutes by night.
#[test]
fn a_line_that_flaps_lets_nobody_in_for_too_long() {
    let by_night = std::env::var_os("KEYGATE_NIGHTLY").is_some();
    // As short as can be, so that every second without the line is felt.
    let scene = Scene::new(1);
    let traffic = scene.traffic();
    let rounds = if by_night { 90 } else { 5 };
    for _ in 0..rounds {
        scene.relay.set(Hold, Hold);
        thread::sleep(Duration::from_secs(1));
        scene.relay.set(Pass, Pass);
        thread::sleep(Duration::from_secs(1));
    }
    scene.relay.set(Hold, Hold);
    let (revoked, status) = scene.pair.revoke(scene.at, &scene.sudo, "enforced, wait=10");
    assert_eq!(status, 200);
    let healed = moment();
    scene.relay.set(Pass, Pass);
    traffic.until(false, 200);
    traffic.until(true, 401);
    let samples = traffic.end();
    let oldest = samples.never_beyond(scene.lease);
    samples.never_refused();
    samples.nobody_after(true, revoked);
    samples.first_after(healed);
    let count = |status| samples.0.iter().filter(|sample| sample.status == status).count();
    eprintln!(
        "flapping: {} times let in, {oldest:.2?} after a heartbeat at most; {} times 503",
        count(200),
        count(503)
    );
    assert!(count(200) > 100 && count(503) > 100, "{} {}", count(200), count(503));
}
