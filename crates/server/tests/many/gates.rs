//! Gates in processes of their own.

use std::{collections::BTreeSet, time::Duration};

use keygate_server::edge::Stopwatch;

use crate::{
    house::{House, Token, asked},
    process::Server,
};

const PATIENCE: Duration = Duration::from_secs(15);

/// Waits until a gate answers this about a token. How long that took.
pub(crate) fn until(gate: &Server, token: &Token, status: u16) -> Duration {
    let watch = Stopwatch::start();
    loop {
        let said = asked(gate, token);
        if said == status {
            return watch.elapsed();
        }
        assert!(watch.elapsed() < PATIENCE, "{said} and not {status} after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn two_gates_decide_and_hear_of_a_revoke_in_a_tenth_of_a_second() {
    let house = House::new();
    let (gate_token, kept) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    let gates = [0, 1].map(|_| house.gate(&[house.url()], &gate_token, &[]));
    for gate in &gates {
        until(gate, &kept, 200);
        let unknown = Token { secret: format!("{}x", &kept.secret[..kept.secret.len() - 1]) };
        assert_eq!(asked(gate, &unknown), 401, "the checksum is wrong");
        assert_eq!(asked(gate, &gate_token), 403, "it may follow, and nothing else");
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let token = house.token(&house.tenant, "shop:read");
        for gate in &gates {
            until(gate, &token, 200);
        }
        house.revoke(&token);
        for gate in &gates {
            slowest = slowest.max(until(gate, &token, 401));
        }
    }
    assert!(slowest <= Duration::from_millis(100), "{slowest:?}");
    assert!(gates.iter().all(|gate| asked(gate, &kept) == 200));
}

#[test]
fn a_gate_goes_to_another_node_and_cannot_tell_when_there_is_none() {
    let mut house = House::new();
    let (gate_token, kept) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    let lost = house.token(&house.tenant, "shop:read");
    let second = house.home.serve();
    let urls = [house.url(), format!("http://{}", second.address)];
    let gate = house.gate(&urls, &gate_token, &["--lease", "2"]);
    until(&gate, &kept, 200);
    // The first goes; the second is the house's only one now, and what it is told reaches the gate.
    drop(std::mem::replace(&mut house.node, second));
    house.revoke(&lost);
    until(&gate, &lost, 401);
    assert_eq!(asked(&gate, &kept), 200, "it has always known");
    // And then there is none.
    let third = house.home.serve();
    drop(std::mem::replace(&mut house.node, third));
    assert_eq!(asked(&gate, &kept), 200, "not yet");
    let took = until(&gate, &kept, 503);
    assert!(took >= Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_gate_whose_token_is_revoked_hears_nothing_more() {
    let house = House::new();
    let (gate_token, kept) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    let gate = house.gate(&[house.url()], &gate_token, &["--lease", "2", "--listen", "127.0.0.1:0"]);
    // `--listen` comes first, so that is where it says that it serves.
    let ready = |status| {
        let watch = Stopwatch::start();
        while gate.send("GET", "/readyz", &[], "").status != status {
            assert!(watch.elapsed() < PATIENCE, "not {status}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    ready(200);
    let verified = gate.send("GET", "/verify", &[("Fastly-Key", &kept.secret)], "");
    assert_eq!(verified.json()["token"]["scope"], "shop:read");
    assert_eq!(
        gate.send("GET", "/tokens", &[("Fastly-Key", &kept.secret)], "").any_json()["code"],
        "gate_only"
    );
    let page = gate.send("GET", "/metrics", &[], "").body;
    assert!(page.contains("keygate_follow_connected 1"), "{page}");
    let told = include_str!("../../../../docs/many-nodes.md").lines();
    let told: BTreeSet<_> =
        told.filter_map(|line| line.strip_prefix("| `keygate_follow_")?.split('`').next()).collect();
    let shown =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE keygate_follow_")?.split(' ').next());
    assert_eq!(told, shown.collect(), "left: docs/many-nodes.md; right: /metrics");
    house.revoke(&gate_token);
    ready(503);
    assert_eq!(gate.send("GET", "/verify", &[("Fastly-Key", &kept.secret)], "").status, 503);
    let page = gate.send("GET", "/metrics", &[], "").body;
    assert!(page.contains("keygate_follow_connected 0") && !page.contains("why=\"refused\"} 0"), "{page}");
}

/// A gate of a proxy elsewhere answers that one, and not whoever else can connect.
#[test]
fn a_gate_answers_only_the_proxies_that_it_trusts() {
    let house = House::new();
    let (gate_token, token) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    let near = house.gate(&[house.url()], &gate_token, &["--trusted-proxies", "192.0.2.0/24,127.0.0.0/8"]);
    let far = house.gate(&[house.url()], &gate_token, &["--trusted-proxies", "192.0.2.0/24"]);
    until(&near, &token, 200);
    until(&far, &token, 403);
}
