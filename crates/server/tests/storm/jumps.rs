//! Wall clocks that jump, on a node and on a gate (K11): nothing that has expired comes back, no lease is longer for it, and no
//! one-time code is good twice.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    clock::{moment, wait_for},
    house::{House, LOGIN, PASSWORD, Place, Token, made, question},
    http::{Ask, Client},
    peer::free_address,
    process::now,
    relay::{Mode, Relay},
    shim,
    traffic::{Pair, Traffic},
};

const LEASE_SECONDS: u64 = 2;
/// Ten of them.
const YEARS: i64 = 3_652 * 86_400;
const JUMPS: [i64; 8] = [1, -1, 30, -30, 3_600, -3_600, YEARS, -YEARS];

/// A clock that a test sets.
struct Shift {
    shim: PathBuf,
    file: PathBuf,
}

impl Shift {
    fn new(house: &House, name: &str) -> Self {
        let shift =
            Self { shim: shim::build("clockshift", house.home.path()), file: house.home.path().join(name) };
        shift.set(0);
        shift
    }

    /// Off by so many seconds from now on.
    fn set(&self, seconds: i64) {
        self.write(&seconds.to_ne_bytes());
    }

    /// Stands still from now on.
    fn freeze(&self) {
        self.write(&[0, now().seconds()].map(i64::to_ne_bytes).concat());
    }

    fn write(&self, bytes: &[u8]) {
        let new = self.file.with_extension("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    fn env(&self) -> [(&str, &str); 2] {
        [("LD_PRELOAD", self.shim.to_str().unwrap()), ("KEYGATE_CLOCK_SHIFT", self.file.to_str().unwrap())]
    }
}

/// What a place says of a token.
fn status(place: &Place, token: &Token) -> u16 {
    Client::new(place.way).must(&question(&token.secret)).status
}

/// How far a gate says that its clock is off.
fn skew(gate: &Place) -> f64 {
    let page = String::from_utf8(Client::new(gate.at).must(&Ask::new("GET /metrics")).body).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix("keygate_follow_clock_skew_seconds "));
    line.unwrap().parse().unwrap()
}

#[test]
fn what_has_expired_stays_so_whatever_the_clocks_show() {
    let house = House::in_a_file(LEASE_SECONDS);
    let shifts = ["node-clock", "gate-clock"].map(|name| Shift::new(&house, name));
    let at = free_address();
    let node = house.node(at, &shifts[0].env());
    let (sudo, gate_token) = (house.operators(at, "global"), house.gate_token(at));
    let gate_in = |env: &[(&str, &str)]| {
        house
            .gate_in(env, "gate", (free_address(), free_address()), at, &gate_token, LEASE_SECONDS)
            .once_ready()
    };
    let gate = gate_in(&shifts[1].env());
    let ((short, end), live) = (short_lived(at, &sudo, 4), Pair::new(at, &sudo).live);
    let places = [&node, &gate];
    for place in places {
        wait_for("both tokens", Duration::from_secs(3), || {
            ((status(place, &short), status(place, &live)) == (200, 200)).then_some(())
        });
    }
    // Forward and back again, nothing is lost: it had not expired.
    shifts.iter().for_each(|shift| shift.set(3_600));
    places.iter().for_each(|place| assert_eq!(status(place, &short), 401));
    shifts.iter().for_each(|shift| shift.set(0));
    places.iter().for_each(|place| {
        wait_for("the end", Duration::from_secs(10), || (status(place, &short) == 401).then_some(()));
    });
    let passed = now();
    assert!(passed.seconds() >= end.as_second(), "it ended early");
    for jump in JUMPS {
        shifts.iter().for_each(|shift| shift.set(jump));
        for place in places {
            for _ in 0..10 {
                assert_eq!((status(place, &short), status(place, &live)), (401, 200), "{jump} s");
            }
        }
    }
    // A gate that begins with a wrong clock learns the time before it lets anybody in.
    drop(gate);
    let gate = gate_in(&shifts[1].env());
    assert_eq!((status(&gate, &short), status(&gate, &live)), (401, 200));
    assert!((skew(&gate) - YEARS as f64).abs() < 60.0, "the shim does not move the clock: {}", skew(&gate));
    assert!(gate.peer.has_said("this machine's clock and the node's are apart"));
    shifts[1].set(0);
    wait_for("the clock to be right", Duration::from_secs(10), || (skew(&gate) < 1.0).then_some(()));
}

/// An automation token of the shop that ends in so many seconds.
fn short_lived(at: SocketAddr, sudo: &Token, seconds: i64) -> (Token, Timestamp) {
    let end = Timestamp::from_second(now().seconds() + seconds).unwrap();
    let body =
        json!({ "name": "t", "role": "engineer", "scope": "shop:read", "expires_at": end.to_string() });
    let ask = Ask::new("POST /automation-tokens").key(&sudo.secret).json(&body);
    (made(&Client::new(at).must(&ask)), end)
}

#[test]
fn a_clock_that_stands_still_keeps_nothing_alive() {
    let house = House::in_a_file(LEASE_SECONDS);
    let shifts = ["node-clock", "gate-clock"].map(|name| Shift::new(&house, name));
    let at = free_address();
    let node = house.node(at, &shifts[0].env());
    let (sudo, token) = (house.operators(at, "global"), house.gate_token(at));
    let places = (free_address(), free_address());
    let gate = house.gate_in(&shifts[1].env(), "gate", places, at, &token, LEASE_SECONDS).once_ready();
    let ((short, end), live) = (short_lived(at, &sudo, 4), Pair::new(at, &sudo).live);
    shifts.iter().for_each(Shift::freeze);
    for place in [&node, &gate] {
        wait_for("both tokens", Duration::from_secs(3), || {
            ((status(place, &short), status(place, &live)) == (200, 200)).then_some(())
        });
    }
    for place in [&node, &gate] {
        wait_for("the end", Duration::from_secs(10), || (status(place, &short) == 401).then_some(()));
        assert_eq!(status(place, &live), 200);
    }
    let over = now().seconds() - end.as_second();
    assert!((0..=3).contains(&over), "it ended {over} s after its end");
    // Longer than a lease: what proves that everything was heard does not stand still with it.
    thread::sleep(Duration::from_secs(LEASE_SECONDS + 1));
    assert_eq!((status(&gate, &short), status(&gate, &live)), (401, 200));
    assert!(skew(&gate) > 4.0, "the shim does not stop the clock: {}", skew(&gate));
}

#[test]
fn a_lease_is_no_longer_for_a_clock_that_saws() {
    let house = House::in_a_file(LEASE_SECONDS);
    let shifts = ["node-clock", "gate-clock"].map(|name| Shift::new(&house, name));
    let at = free_address();
    let _node = house.node(at, &shifts[0].env());
    let (sudo, relay) = (house.operators(at, "global"), Relay::to(at));
    let (pair, token, line) = (Pair::new(at, &sudo), house.gate_token(at), relay.handle());
    let places = (free_address(), free_address());
    let gate = house.gate_in(&shifts[1].env(), "gate", places, relay.at, &token, LEASE_SECONDS);
    let traffic = Traffic::start(gate.way, &pair, move || line.acked());
    let saw = |until: Instant| {
        for jump in JUMPS.iter().cycle() {
            shifts.iter().for_each(|shift| shift.set(*jump));
            thread::sleep(Duration::from_millis(40));
            if moment() > until {
                break;
            }
        }
    };
    saw(moment() + Duration::from_secs(2));
    relay.set(Mode::Hold, Mode::Hold);
    let cut = moment();
    saw(cut + Duration::from_secs(4));
    let samples = traffic.end();
    let lease = Duration::from_secs(LEASE_SECONDS);
    let oldest = samples.never_beyond(lease);
    samples.never_refused();
    samples.nobody_after(false, cut + lease);
    let before = samples.between(cut - Duration::from_secs(1), cut).filter(|sample| sample.status == 200);
    assert!(before.count() > 20, "it lapsed without a cut");
    eprintln!("with a saw for a clock: let in {oldest:.2?} after a heartbeat at most, of {lease:?}");
}

#[test]
fn a_one_time_code_is_good_once_whatever_the_clock_shows() {
    let house = House::in_a_file(LEASE_SECONDS);
    let factor = house.home.second_factor(LOGIN);
    let (shift, at) = (Shift::new(&house, "node-clock"), free_address());
    let login = |code: &str| {
        let body = json!({ "username": LOGIN, "password": PASSWORD });
        let answer = Client::new(at).must(&Ask::new("POST /tokens").json(&body).header("Fastly-OTP", code));
        (answer.status, answer.code())
    };
    let node = house.node(at, &shift.env());
    let code = factor.code();
    assert_eq!(login(&code).0, 200);
    let refused = |when: &str| {
        let (status, code) = login(&code);
        assert!(
            status != 200 && ["otp_already_used", "login_failed"].contains(&code.as_str()),
            "{when}: {status} {code}"
        );
        code
    };
    assert_eq!(refused("at once"), "otp_already_used");
    drop(node);
    // Also where the node begins with a wrong clock, and does not know that time had passed.
    for jump in [-30, 30, -YEARS, 0] {
        shift.set(jump);
        let node = house.node(at, &shift.env());
        refused(&format!("{jump} s"));
        shift.set(jump - 30);
        refused(&format!("{jump} and then less, in seconds"));
        drop(node);
    }
}
