//! Processes that are stopped in their tracks for a while and go on (K08 c).

use std::{net::SocketAddr, thread, time::Duration};

use crate::{
    clock::{moment, wait_for},
    house::{House, Token, question},
    http::{Ask, Client},
    machine::Machines,
    peer::free_address,
    traffic::{Pair, Traffic},
};

const LEASE_SECONDS: u64 = 2;
const LEASE: Duration = Duration::from_secs(LEASE_SECONDS);

/// How long they stand still, in turn.
fn pauses() -> &'static [u64] {
    if std::env::var_os("KEYGATE_NIGHTLY").is_some() { &[10, 60, 120] } else { &[10] }
}

#[test]
fn a_gate_that_stood_still_knows_that_it_did() {
    let house = House::in_a_file(LEASE_SECONDS);
    let at = free_address();
    let _node = house.node(at, &[]);
    let sudo = house.operators(at, "global");
    let gate = house.gate("gate", at, &house.gate_token(at), LEASE_SECONDS);
    for seconds in pauses() {
        let pair = Pair::new(at, &sudo);
        let traffic = Traffic::start(gate.way, &pair, || None);
        gate.peer.stand_still();
        let stopped = moment();
        let waiting = questions(gate.way, &pair.doomed);
        let (revoked, status) = pair.revoke(at, &sudo, "enforced, wait=9");
        assert_eq!(status, 200, "its lease has ended, and the node must know");
        let waited = revoked - stopped;
        thread::sleep(Duration::from_secs(*seconds).saturating_sub(stopped.elapsed()));
        let resumed = moment();
        gate.peer.signal("CONT");
        nobody_is_let_in(waiting);
        traffic.until(false, 200);
        traffic.until(true, 401);
        let samples = traffic.end();
        let first = samples.first_after(resumed);
        samples.never_refused();
        samples.nobody_after(true, revoked);
        eprintln!(
            "gate, {seconds} s: receipt after {waited:.2?}; the first answer about the revoked token: {first}"
        );
    }
}

/// Two nodes on one database: while one stands still, the other revokes.
#[test]
fn a_node_that_stood_still_knows_that_it_did() {
    let machines = Machines::new();
    machines.begin("a", &[]);
    let house = House::on_postgres(&machines, "a", LEASE_SECONDS);
    let places = [free_address(), free_address()];
    let nodes = places.map(|at| house.node(at, &[]));
    let sudo = wait_for("the second node to know who asks", Duration::from_secs(10), || {
        let sudo = house.operators(places[0], "global");
        knows(places[1], &sudo).then_some(sudo)
    });
    let gate = house.gate("gate", places[0], &house.gate_token(places[0]), LEASE_SECONDS);
    for seconds in pauses() {
        let pair = Pair::new(places[1], &sudo);
        let ways = [nodes[0].way, gate.way];
        let traffics = ways.map(|way| Traffic::start(way, &pair, || None));
        nodes[0].peer.stand_still();
        let stopped = moment();
        let waiting = questions(nodes[0].way, &pair.doomed);
        let (revoked, status) = pair.revoke(places[1], &sudo, "enforced, wait=9");
        assert_eq!(status, 200, "the leases have ended, and the other node must know");
        let waited = revoked - stopped;
        thread::sleep(Duration::from_secs(*seconds).saturating_sub(stopped.elapsed()));
        let resumed = moment();
        nodes[0].peer.signal("CONT");
        nobody_is_let_in(waiting);
        for (traffic, name) in traffics.into_iter().zip(["node", "its gate"]) {
            traffic.until(false, 200);
            traffic.until(true, 401);
            let samples = traffic.end();
            let first = samples.first_after(resumed);
            samples.never_refused();
            samples.nobody_after(true, revoked);
            if name == "its gate" {
                // It had its line, and nobody at the other end.
                let cut = samples.between(stopped + LEASE, resumed).filter(|sample| sample.status != 503);
                assert_eq!(cut.count(), 0, "it went on without its node");
            }
            eprintln!(
                "{name}, {seconds} s: receipt after {waited:.2?}; first about the revoked token: {first}"
            );
        }
    }
}

/// Questions that wait for a process which stands still: which of them and of what the feed brought comes first when it goes on,
/// nobody knows.
fn questions(way: SocketAddr, token: &Token) -> Vec<Client> {
    let ask = || {
        let mut client = Client::new(way);
        client.send(&question(&token.secret)).map(|()| client)
    };
    (0..32).map(|_| ask().unwrap()).collect()
}

fn nobody_is_let_in(waiting: Vec<Client>) {
    for mut client in waiting {
        assert_ne!(
            client.receive().unwrap().status,
            200,
            "a question that waited meanwhile is answered from before"
        );
    }
}

fn knows(node: SocketAddr, token: &Token) -> bool {
    Client::new(node).must(&Ask::new("GET /tokens/self").key(&token.secret)).status == 200
}
