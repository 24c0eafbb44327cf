//! No accept after a receipt, ever: revokes that are answered when they are enforced, while gates and a node are stopped,
//! killed, cut off and held back, and uses at every gate from the moment the receipt is there.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    book::{BOUND, Book, Client, assert_right},
    checker::{Said, Subject, Wrong, check},
    estate::{Estate, Gate, ORDERS},
    faults::{Relay, pause},
    process::Server,
    share,
};

const CLIENTS: usize = 64;

/// So many tokens are revoked by one call.
const TOGETHER: usize = 8;

/// Short, so that many receipts fit into the time: each may have to wait for one to end.
const LEASE_SECONDS: u64 = 2;

/// Four of their own, and those of the two nodes.
const GATES: usize = 6;

/// What makes tokens, as one that is used itself.
const FACTORY: Subject = Subject::MAX;

/// Under faults a gate may be behind for as long as it has a lease, and a fault and a start last.
const WITH_FAULTS: Duration = Duration::from_secs(20);

/// What goes on, and what has come of it.
struct Trials<'t> {
    estate: &'t Estate,
    book: &'t Book,
    stop: &'t AtomicBool,
    receipts: AtomicUsize,
    /// The tokens in them.
    under: AtomicUsize,
    /// Uses after a receipt at gates that had let the token in before.
    tried: AtomicUsize,
}

impl Trials<'_> {
    /// Makes some tokens, shows them to every gate, revokes them, and shows them again.
    fn go(&self, client: &mut Client<'_>, first: Subject) {
        let key = [("Fastly-Key", self.estate.factory.as_str())];
        let order = json!({ "name": "t", "role": "engineer", "scope": "shop:read" }).to_string();
        let mut tokens = Vec::new();
        for subject in first..first + TOGETHER {
            let made = client.change_at(0, &[subject], true, ("POST", "/automation-tokens"), &key, &order);
            tokens.extend(made.map(|made| (subject, made.text("access_token"), made.text("id"))));
        }
        if tokens.is_empty() {
            return;
        }
        let mut knew = Vec::new();
        for gate in 0..GATES {
            for (subject, secret, _) in &tokens {
                if client.uses(*subject, secret, ORDERS, gate) == Said::Allow {
                    knew.push((gate, *subject));
                }
            }
        }
        let ids: Vec<_> = tokens.iter().map(|(_, _, id)| json!({ "type": "token", "id": id })).collect();
        let subjects: Vec<Subject> = tokens.iter().map(|(subject, ..)| *subject).collect();
        let headers = [("Fastly-Key", self.estate.admin.as_str()), ("Prefer", "enforced")];
        let body = json!({ "data": ids }).to_string();
        let revoked = client.change_at(0, &subjects, false, ("DELETE", "/tokens"), &headers, &body);
        let enforced = revoked.is_some_and(|revoked| revoked.json()["enforced"] == true);
        self.receipts.fetch_add(usize::from(enforced), Ordering::Relaxed);
        self.under.fetch_add(if enforced { tokens.len() } else { 0 }, Ordering::Relaxed);
        // Each time another is the first: one that is stopped keeps whoever asks it waiting.
        let first = client.below(GATES);
        for gate in (first..GATES).chain(0..first) {
            for (subject, secret, _) in &tokens {
                client.uses(*subject, secret, ORDERS, gate);
                let tried = enforced && knew.contains(&(gate, *subject));
                self.tried.fetch_add(usize::from(tried), Ordering::Relaxed);
            }
        }
    }

    /// Does harm for a while, and leaves in peace for a while, until it is over. How often.
    fn harm(&self, seed: usize, mut fault: impl FnMut(Duration)) -> usize {
        let mut chance = Client::new(seed, self.book, self.estate, &[]);
        let mut times = 0;
        while !self.stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(100 + chance.below(2_500) as u64));
            fault(Duration::from_millis(50 + chance.below(3_000) as u64));
            times += 1;
        }
        times
    }
}

fn start(estate: &Estate, name: &str, urls: &[String]) -> (Server, Gate) {
    estate.gate(name, urls, &["--lease", &LEASE_SECONDS.to_string()])
}

fn until_all_know(client: &mut Client<'_>, estate: &Estate, book: &Book, gates: usize, subject: Subject) {
    // It was made before.
    book.command(subject, true, || {});
    for gate in 0..gates {
        client.until_let_in(subject, &estate.factory, ORDERS, gate);
    }
}

/// Gates in processes of their own, and what each will suffer.
struct Gates {
    stopped: Server,
    killed: Server,
    /// It follows both nodes through these.
    cut: Server,
    relays: [Relay; 2],
    /// It follows the node that is stopped now and then, and goes to the other.
    well: Server,
}

impl Gates {
    /// Them, and where to ask them and those of the nodes.
    fn start(estate: &Estate) -> (Self, [Gate; GATES]) {
        let urls = estate.urls();
        let relays = [0, 1].map(|node| Relay::before(estate.nodes[node].address));
        let (stopped, first) = start(estate, "stopped", &urls);
        let (killed, second) = start(estate, "killed", &urls);
        let (cut, third) = start(estate, "cut", &relays.each_ref().map(Relay::url));
        let (well, fourth) = start(estate, "well", &[urls[1].clone(), urls[0].clone()]);
        let ways = [first, second, third, fourth, estate.inner_gate(0), estate.inner_gate(1)];
        (Self { stopped, killed, cut, relays, well }, ways)
    }

    /// Does harm to them until it is over. How often: stops, kills, cuts, and stops of a node.
    fn suffer(self, all: &Trials<'_>) -> [usize; 4] {
        let Self { stopped, killed, cut, relays, well } = self;
        let (mut killed, urls) = (Some(killed), all.estate.urls());
        let times = thread::scope(|scope| {
            let harms = [
                scope.spawn(|| all.harm(1_001, |length| pause(&stopped, length))),
                scope.spawn(|| {
                    all.harm(1_002, |length| {
                        killed.take();
                        thread::sleep(length);
                        killed = Some(start(all.estate, "killed", &urls).0);
                    })
                }),
                scope.spawn(|| all.harm(1_003, |length| cut_or_hold(&relays, length))),
                scope.spawn(|| all.harm(1_004, |length| pause(&all.estate.nodes[1], length))),
            ];
            harms.map(|harm| harm.join().unwrap())
        });
        drop((cut, well));
        times
    }
}

/// The first node's line, or both: then there is no other node to go to.
fn cut_or_hold(relays: &[Relay], length: Duration) {
    let relays = if length.as_millis().is_multiple_of(2) { relays } else { &relays[..1] };
    relays.iter().for_each(if length.as_millis() % 4 < 2 { Relay::cut } else { Relay::hold });
    thread::sleep(length);
    relays.iter().for_each(Relay::pass);
}

#[test]
fn receipt_trials_with_faults_find_no_accept() {
    let estate = Estate::new(LEASE_SECONDS);
    let (processes, gates) = Gates::start(&estate);
    let (book, stop, next) = (Book::new(), AtomicBool::new(false), AtomicUsize::new(0));
    let trials = share(10_000, 500);
    let mut client = Client::new(CLIENTS, &book, &estate, &gates);
    until_all_know(&mut client, &estate, &book, GATES, FACTORY);
    let [receipts, under, tried] = [0; 3].map(AtomicUsize::new);
    let all = Trials { estate: &estate, book: &book, stop: &stop, receipts, under, tried };
    let harms = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|nth| {
                let (mut client, all, next) = (Client::new(nth, &book, &estate, &gates), &all, &next);
                scope.spawn(move || {
                    // Those that nobody knows the outcome of do not count.
                    while all.under.load(Ordering::Relaxed) < trials {
                        all.go(&mut client, next.fetch_add(TOGETHER, Ordering::Relaxed));
                    }
                })
            })
            .collect();
        let harms = scope.spawn(|| processes.suffer(&all));
        let done: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(done.iter().all(Result::is_ok), "a client failed");
        harms.join().unwrap()
    });
    let (receipts, tried, took) = (all.receipts.into_inner(), all.tried.into_inner(), book.now());
    let (writes, uses) = book.into_parts();
    let under = writes.iter().filter(|write| write.enforced).count();
    let waited = uses.iter().filter(|usage| usage.said == Said::CannotTell).count();
    eprintln!(
        "{receipts} receipts for {under} tokens in {took:.0?}, with {harms:?} stops, kills, cuts and stops of a node; \
         {tried} uses after one at gates that had let the token in; {waited} of {} uses could not be told",
        uses.len()
    );
    assert_right(&writes, &uses, WITH_FAULTS);
    assert!(harms.iter().all(|times| *times > 1), "nothing was done to them");
    assert!(under >= trials && tried > 2 * trials, "nothing was tried");
}

/// The control: what a receipt waits for does matter, and the checker sees it.
#[test]
fn receipt_trials_would_find_a_receipt_that_does_not_wait() {
    let estate = Estate::new(LEASE_SECONDS);
    let relay = Relay::before(estate.nodes[0].address);
    let (_held, gate) = start(&estate, "held", &[relay.url()]);
    let (book, gates) = (Book::new(), [gate, estate.inner_gate(0)]);
    let mut client = Client::new(0, &book, &estate, &gates);
    until_all_know(&mut client, &estate, &book, gates.len(), FACTORY);
    let key = [("Fastly-Key", estate.admin.as_str())];
    let mut let_in = 0;
    for subject in 0..6 {
        let waits = subject % 2 == 1;
        let order = json!({ "name": "t", "role": "engineer", "scope": "shop:read" }).to_string();
        let factory = [("Fastly-Key", estate.factory.as_str())];
        let made =
            client.change_at(0, &[subject], true, ("POST", "/automation-tokens"), &factory, &order).unwrap();
        let (secret, path) = (made.text("access_token"), format!("/tokens/{}", made.text("id")));
        client.until_let_in(subject, &secret, ORDERS, 0);
        relay.hold();
        let headers = [&key[..], if waits { &[("Prefer", "enforced")] } else { &[] }].concat();
        client.change_at(0, &[subject], false, ("DELETE", &path), &headers, "").unwrap();
        let said = client.uses(subject, &secret, ORDERS, 0);
        assert_eq!(said, if waits { Said::CannotTell } else { Said::Allow }, "token {subject}");
        let_in += usize::from(!waits);
        relay.pass();
        client.until_let_in(FACTORY, &estate.factory, ORDERS, 0);
    }
    let (mut writes, uses) = book.into_parts();
    assert_right(&writes, &uses, BOUND);
    // Had the answers that did not wait called themselves receipts:
    writes.iter_mut().filter(|write| !write.allows).for_each(|write| write.enforced = true);
    let wrong: Vec<_> = check(&writes, &uses, BOUND).into_iter().map(|(wrong, _)| wrong).collect();
    assert_eq!(wrong, vec![Wrong::AfterReceipt; let_in]);
}
