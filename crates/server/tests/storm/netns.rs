//! The same cuts with a real network between gate and node: the gate stands in a namespace of its own, and packets are lost
//! both ways, or one way (K08 a, b).

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    clock::{moment, wait_for},
    house::{House, Token},
    peer::{Peer, free_address},
    traffic::Pair,
};

const LEASE_SECONDS: u64 = 2;
const LEASE: Duration = Duration::from_secs(LEASE_SECONDS);

/// How long packets are lost.
const CUT: Duration = Duration::from_secs(5);

/// A namespace, with a line to it. Removed when dropped.
struct Network {
    name: String,
    /// Our end of the line, and the gate's.
    ends: [Ipv4Addr; 2],
}

impl Network {
    /// None where this user may not make one.
    fn new(number: u8) -> Option<Self> {
        let name = format!("kg{}-{number}", std::process::id());
        let part = (std::process::id() % 250) as u8;
        let ends = [1, 2].map(|end| Ipv4Addr::new(10, 203, part, number * 4 + end));
        let network = Self { name, ends };
        let made = network.make();
        if !made {
            eprintln!("NOT RUN: no network namespace can be made here; root can, with iproute2");
        }
        made.then_some(network)
    }

    fn make(&self) -> bool {
        let Self { name, ends: [ours, theirs] } = self;
        let (here, there) = (format!("{name}h"), format!("{name}g"));
        let (ours, theirs) = (format!("{ours}/30"), format!("{theirs}/30"));
        [
            &["netns", "add", name][..],
            &["link", "add", &here, "type", "veth", "peer", "name", &there, "netns", name],
            &["addr", "add", &ours, "dev", &here],
            &["link", "set", &here, "up"],
            &["-n", name, "addr", "add", &theirs, "dev", &there],
            &["-n", name, "link", "set", &there, "up"],
        ]
        .into_iter()
        .all(ip)
    }

    /// Loses packets from the gate, and those to it, or none.
    fn lose(&self, up: bool, down: bool) {
        let [ours, theirs] = self.ends.map(|end| format!("{end}/32"));
        let lose = |there: bool, to: &str, verb: bool| {
            let place: &[&str] = if there { &["-n", &self.name] } else { &[] };
            let verb = if verb { "add" } else { "del" };
            // Without a route that was never there, none is to be taken away.
            ip(&[place, &["route", verb, "blackhole", to]].concat());
        };
        lose(true, &ours, up);
        lose(false, &theirs, down);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        ip(&["link", "del", &format!("{}h", self.name)]);
        ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).output().is_ok_and(|done| done.status.success())
}

/// What the gate says, over a socket in the file system, which is the same in every namespace.
fn status(way: &Path, token: &Token) -> u16 {
    let mut stream = UnixStream::connect(way).unwrap();
    let ask = format!(
        "GET /authz/auth-request HTTP/1.1\r\nHost: gate\r\nFastly-Key: {}\r\nX-Original-Method: GET\r\nX-Original-URL: \
         https://api.shop.example.com/orders/17\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n",
        token.secret
    );
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer[9..12].parse().unwrap()
}

/// What was answered about a token, from when on.
fn answers(way: &Path, token: &Token, until: Instant) -> Vec<(Instant, u16)> {
    let mut answers = Vec::new();
    while moment() < until {
        answers.push((moment(), status(way, token)));
        thread::sleep(Duration::from_millis(3));
    }
    answers
}

fn gate(house: &House, network: &Network, node: SocketAddr, token: &Token, way: &Path) -> Peer {
    let file = house.home.path().join("gate.token");
    std::fs::write(&file, &token.secret).unwrap();
    let keygate = house.home.command(&[]).get_program().to_owned();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &network.name]).arg(keygate).arg("gate").arg("--token-file").arg(file);
    command.args(["--follow", &format!("http://{node}"), "--lease", &LEASE_SECONDS.to_string()]);
    command.arg("--way").arg(format!("nginx=unix:{}", way.display()));
    Peer::start(command)
}

/// Cuts, revokes meanwhile, and heals.
fn cut(number: u8, (up, down): (bool, bool), name: &str) {
    let Some(network) = Network::new(number) else { return };
    let house = House::in_a_file(LEASE_SECONDS);
    let at = SocketAddr::from((network.ends[0], free_address().port()));
    let _node = house.node(at, &[]);
    let sudo = house.operators(at, "global");
    let (pair, way) = (Pair::new(at, &sudo), PathBuf::from(house.home.path()).join("way"));
    let gate = gate(&house, &network, at, &house.gate_token(at), &way);
    let both = || (status(&way, &pair.live), status(&way, &pair.doomed));
    wait_for("both tokens", Duration::from_secs(10), || (both() == (200, 200)).then_some(()));
    network.lose(up, down);
    let begun = moment();
    let (revoked, live) = thread::scope(|scope| {
        let live = scope.spawn(|| answers(&way, &pair.live, begun + CUT));
        let doomed = scope.spawn(|| answers(&way, &pair.doomed, begun + CUT));
        let (revoked, code) = pair.revoke(at, &sudo, "enforced, wait=4");
        let late =
            doomed.join().unwrap().into_iter().filter(|(asked, code)| *code == 200 && *asked > revoked);
        assert!(code == 202 || late.count() == 0, "let in after the receipt");
        ((revoked - begun, code), live.join().unwrap())
    });
    network.lose(false, false);
    let (count, first) = (live.len(), status(&way, &pair.doomed));
    assert_ne!(first, 200, "the first answer after the cut");
    let last = live.iter().filter(|(_, code)| *code == 200).map(|(asked, _)| *asked - begun).max().unwrap();
    // A heartbeat that had an echo was sent before the cut.
    assert!(last <= LEASE && live.iter().all(|(_, code)| [200, 503].contains(code)), "{last:?}");
    assert!(last >= LEASE / 4, "it gave up at the cut: {last:?}");
    wait_for("the line to be back", Duration::from_secs(15), || (both() == (200, 401)).then_some(()));
    eprintln!("{name}: let in until {last:.2?} after the cut; {count} answers; revoke answered {revoked:?}");
    drop(gate);
}

#[test]
fn no_packets_at_all() {
    cut(0, (true, true), "no packets");
}

#[test]
fn no_packets_from_the_gate() {
    cut(1, (true, false), "none from the gate");
}

#[test]
fn no_packets_to_the_gate() {
    cut(2, (false, true), "none to the gate");
}
