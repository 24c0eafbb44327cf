//! Kills at random moments of PostgreSQL, of the node and of a gate, under eight writers (K09).

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    clock::{Chance, moment, wait_for},
    durable::Durable,
    house::{House, Place, Token, question},
    http::{Ask, Client},
    machine::Machines,
    peer::{free_address, signal},
    watch::{Seen, Watch},
    writers::{Fate, Ledger, Told, Writer},
};

const WRITERS: usize = 8;
/// As many as fit into a minute, and all of them by night.
const CYCLES: usize = 24;
const CYCLES_BY_NIGHT: usize = 200;
const LEASE_SECONDS: u64 = 2;
const LEASE: Duration = Duration::from_secs(LEASE_SECONDS);
const RETURNS_MAX: Duration = Duration::from_secs(30);

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Database,
    Node,
    Gate,
}

/// A machine, a node on it, and two gates.
struct Town {
    house: House,
    machines: Machines,
    at: SocketAddr,
    env: Vec<(&'static str, &'static str)>,
    node: Option<Place>,
    gate_token: Token,
    gates: Vec<Option<Place>>,
    watches: Vec<Watch>,
}

impl Town {
    fn new(env: &[(&'static str, &'static str)], settings: &[&str]) -> Self {
        let machines = Machines::new();
        machines.begin("a", settings);
        let house = House::on_postgres(&machines, "a", LEASE_SECONDS);
        let (at, env) = (free_address(), env.to_vec());
        let node = house.node(at, &env);
        let gate_token = house.gate_token(at);
        let gates = ["gate-0", "gate-1"].map(|name| house.gate(name, at, &gate_token, LEASE_SECONDS));
        let watches = gates.iter().map(|gate| Watch { at: gate.at, way: gate.way, lease: LEASE }).collect();
        let gates = gates.into_iter().map(Some).collect();
        Self { house, machines, at, env, node: Some(node), gate_token, gates, watches }
    }

    fn writers<'l>(&self, ledger: &'l Ledger, chance: &mut Chance) -> Vec<Writer<'l>> {
        let sudo = || self.house.operators(self.at, "global");
        (0..WRITERS).map(|_| Writer::new(self.at, sudo(), ledger, chance.next())).collect()
    }

    /// Kills, and starts again after a while.
    fn kill(&mut self, victim: Victim, chance: &mut Chance) {
        let down = Duration::from_millis(chance.next() % 300);
        match victim {
            Victim::Database => {
                self.machines.run("crash", "a", &[]);
                thread::sleep(down);
                self.machines.run("start", "a", &[]);
            }
            Victim::Node => {
                self.node = None;
                thread::sleep(down);
                self.node = Some(self.house.node(self.at, &self.env));
            }
            Victim::Gate => {
                let place = chance.below(self.gates.len());
                let Some(Place { at, way, .. }) = self.gates[place].take() else { return };
                thread::sleep(down);
                let name = format!("gate-{place}");
                let gate =
                    self.house.gate_in(&[], &name, (at, way), self.at, &self.gate_token, LEASE_SECONDS);
                self.gates[place] = Some(gate);
            }
        }
    }

    /// Waits until something is acknowledged that was asked for after `since`, and both gates can tell.
    fn returns(&self, ledger: &Ledger, since: Instant) {
        wait_for("changes to be acknowledged again", RETURNS_MAX, || {
            ledger.told.lock().unwrap().last().is_some_and(|told| told.since > since).then_some(())
        });
        for gate in self.gates.iter().flatten() {
            wait_for("a gate to be ready", RETURNS_MAX, || {
                let answer = Client::new(gate.at).ask(&Ask::new("GET /readyz"));
                answer.ok().filter(|answer| answer.status == 200)
            });
        }
    }

    fn audit(&self) {
        let verified = self.house.run(&["audit", "verify"], "");
        assert_eq!(verified["ok"], true, "{verified}");
    }

    /// Node and gates say of every token what was told, or, of one in doubt, what the record says.
    fn answers(&self, told: &[Told]) -> Vec<String> {
        let mut odd = Vec::new();
        for at in self.watches.iter().map(|watch| watch.way).chain([self.at]) {
            let mut client = Client::new(at);
            for Told { token, fate, .. } in told {
                let status = client.must(&question(&token.secret)).status;
                let fits = match fate {
                    Fate::Alive => status == 200,
                    Fate::InDoubt => [200, 401].contains(&status),
                    Fate::Revoked(..) => status == 401,
                };
                if !fits {
                    odd.push(format!("{} was told to be {fate:?}, and {at} says {status}", token.id));
                }
            }
        }
        odd
    }
}

fn none(odd: &[String]) {
    assert!(odd.is_empty(), "{} differences, the first: {:#?}", odd.len(), &odd[..odd.len().min(10)]);
}

/// Who is killed in this cycle: each in turn, and otherwise as chance has it.
fn victim(cycle: usize, chance: &mut Chance) -> Victim {
    let each = [Victim::Database, Victim::Node, Victim::Gate, Victim::Database];
    each[if cycle < each.len() { cycle } else { chance.below(each.len()) }]
}

/// Two hundred by night.
#[test]
fn two_hundred_kills_of_anybody_lose_nothing_that_was_acknowledged() {
    let by_night = std::env::var_os("KEYGATE_NIGHTLY").is_some();
    let cycles = if by_night { CYCLES_BY_NIGHT } else { CYCLES };
    let (began, mut chance) = (moment(), Chance::of_the_day());
    let (mut town, ledger) = (Town::new(&[], &[]), Ledger::default());
    let seen = [Seen::default(), Seen::default()];
    let writers = town.writers(&ledger, &mut chance);
    let mut killed = [0; 3];
    thread::scope(|scope| {
        // Whoever fails here must not leave the others at it.
        let _stop = Stop(&ledger);
        writers.into_iter().for_each(|writer| drop(scope.spawn(|| writer.write())));
        let watches = std::mem::take(&mut town.watches);
        for (watch, seen) in watches.into_iter().zip(&seen) {
            let (seed, ledger) = (chance.next(), &ledger);
            scope.spawn(move || watch.keep(ledger, seen, seed));
        }
        for cycle in 0..cycles {
            thread::sleep(Duration::from_millis(150 + chance.next() % 450));
            let victim = victim(cycle, &mut chance);
            town.kill(victim, &mut chance);
            killed[victim as usize] += 1;
            let mut told = ledger.now();
            let durable = Durable::read(&town.machines, "a");
            // What nobody had been told when this was read began after it was asked.
            for (told, later) in told.iter_mut().zip(ledger.now()) {
                if told.fate == Fate::Alive && later.fate != Fate::Alive {
                    told.fate = Fate::InDoubt;
                }
            }
            let uncalled = durable.uncalled(&ledger.refused.lock().unwrap());
            none(&[durable.missing(&told), durable.halves(), uncalled].concat());
            town.returns(&ledger, moment());
            if cycle % 20 == 19 {
                town.audit();
                eprintln!(
                    "{} kills, {:?} tokens and revokes after {:.0?}",
                    cycle + 1,
                    durable.size(),
                    began.elapsed()
                );
            }
            none(&ledger.odd.lock().unwrap());
        }
    });
    town.watches =
        town.gates.iter().flatten().map(|gate| Watch { at: gate.at, way: gate.way, lease: LEASE }).collect();
    thread::sleep(Duration::from_secs(1));
    let (told, durable) = (ledger.now(), Durable::read(&town.machines, "a"));
    let uncalled = durable.uncalled(&ledger.refused.lock().unwrap());
    none(&[durable.missing(&told), durable.halves(), uncalled, town.answers(&told)].concat());
    none(&ledger.odd.lock().unwrap());
    town.audit();
    let enforced = told.iter().filter(|told| matches!(told.fate, Fate::Revoked(_, true))).count();
    let doubt = told.iter().filter(|told| told.fate == Fate::InDoubt).count();
    eprintln!(
        "{cycles} kills ([database, node, gate] {killed:?}) in {:.0?}; acknowledged and found: {} tokens, {} revokes, {enforced} of \
         them with a receipt; {doubt} in doubt; gates said {seen:?}",
        began.elapsed(),
        told.len(),
        told.iter().filter(|told| matches!(told.fate, Fate::Revoked(..))).count(),
    );
    assert!(enforced > 0 && doubt > 0 && killed.iter().all(|count| *count > 0), "nothing was tried");
}

/// The process that writes what was acknowledged before it was on the disk.
const WAL_WRITER: &str = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'";

/// Ends the storm, however the test ends.
struct Stop<'l>(&'l Ledger);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// The negative control: where commits are acknowledged before they are on the disk, the same look must find that out.
#[test]
fn a_database_that_acknowledges_too_early_is_found_out() {
    let mut chance = Chance::of_the_day();
    let town = Town::new(&[("KEYGATE_UNSAFE_SYNC_OFF", "true")], &[]);
    // Who writes behind the acknowledgement's back does it page by page: it is stopped, so that every kill finds something.
    let writer = town.machines.run("sql", "a", &[WAL_WRITER]);
    signal(writer.trim().parse().unwrap(), "STOP");
    let ledger = Ledger::default();
    let writers = town.writers(&ledger, &mut chance);
    thread::scope(|scope| {
        let _stop = Stop(&ledger);
        writers.into_iter().for_each(|writer| drop(scope.spawn(|| writer.write())));
        thread::sleep(Duration::from_millis(2_000 + chance.next() % 500));
        town.machines.run("crash", "a", &[]);
    });
    town.machines.run("start", "a", &[]);
    none(&ledger.odd.lock().unwrap());
    let told = ledger.now();
    let lost = Durable::read(&town.machines, "a").missing(&told).len();
    eprintln!("acknowledged too early: of {} tokens {lost} are gone, or their revokes", told.len());
    assert!(lost > 0, "nothing was lost: this test is blind");
}
