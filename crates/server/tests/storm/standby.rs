//! An old primary that is cut off from its synchronous standby while its node stays attached to it, and a node on a standby
//! (K08 e, f).

use std::{process::Stdio, thread, time::Duration};

use crate::{
    clock::{moment, wait_for},
    house::House,
    machine::Machines,
    peer::free_address,
    traffic::{Pair, Traffic},
};

const LEASE_SECONDS: u64 = 2;
const LEASE: Duration = Duration::from_secs(LEASE_SECONDS);

/// The arguments that name the database on another machine.
fn on(machines: &Machines, name: &str) -> Vec<String> {
    ["--db", &machines.address("keygate", name), "--key-file", "keygate.key"].map(str::to_owned).to_vec()
}

#[test]
fn a_primary_without_its_standby_lets_its_gates_lapse_and_a_standby_serves_no_node() {
    let machines = Machines::new();
    machines.begin("a", &[]);
    let mut house = House::on_postgres(&machines, "a", LEASE_SECONDS);
    machines.run("standby", "b", &[&machines.of("a").display().to_string()]);
    machines.waits_for("a", "ANY 1 (*)");
    a_standby_serves_no_node(&house, &machines);
    let [old, new] = [free_address(), free_address()];
    let node = house.node(old, &[]);
    let sudo = house.operators(old, "global");
    let gate = house.gate("gate", old, &house.gate_token(old), LEASE_SECONDS);
    let pair = Pair::new(old, &sudo);
    let traffics = [node.way, gate.way].map(|way| Traffic::start(way, &pair, || None));
    // From here on nothing that the old primary commits reaches anybody.
    machines.run("sql", "b", &["ALTER SYSTEM SET primary_conninfo = ''"]);
    machines.run("sql", "b", &["SELECT pg_reload_conf()"]);
    wait_for("the standby to hang up", Duration::from_secs(10), || {
        let walsenders = machines.run("sql", "a", &["SELECT count(*) FROM pg_stat_replication"]);
        (walsenders.trim() == "0").then_some(())
    });
    let cut = moment();
    machines.run("promote", "b", &[]);
    house.moves(on(&machines, "b"));
    let _second = house.node(new, &[]).once_ready();
    let (revoked, status) = pair.revoke(new, &sudo, "enforced, wait=15");
    assert_eq!(status, 200, "the leases have ended, and the new primary's node must know");
    // Long enough that both have been asked about it often.
    thread::sleep(LEASE);
    let end = moment();
    for (traffic, name) in traffics.into_iter().zip(["node", "its gate"]) {
        let samples = traffic.end();
        let early = samples.nobody_after(true, revoked);
        // What was sent after the cut was never committed.
        let last = samples.nobody_after(false, cut + LEASE);
        samples.never_refused();
        let after = samples.between(cut + LEASE, end).filter(|sample| sample.status != 503).count();
        assert_eq!(after, 0, "{after} answers that the {name} of the old primary could not know");
        eprintln!(
            "{name} of the old primary: last let in {:.2?} after the cut, lease {LEASE:?}; {early:.2?} before the receipt",
            LEASE - last
        );
    }
}

fn a_standby_serves_no_node(house: &House, machines: &Machines) {
    let mut command = house.serve(free_address(), &on(machines, "b"));
    let tried = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&tried.stderr).into_owned();
    assert!(!tried.status.success() && said.contains("does not allow writes"), "{said}");
    eprintln!("a node on a standby: {}", said.lines().last().unwrap_or_default());
}
