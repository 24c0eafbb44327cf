//! K07: lives of tokens, made, used, revoked and used again by many clients at many gates.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    book::{BOUND, Book, Client, assert_right},
    checker::{Said, Subject, Use, Write},
    estate::{Estate, ORDERS},
    share,
};

const CLIENTS: usize = 32;

/// Tokens that other clients use as well, the latest.
type Around = Mutex<VecDeque<(Subject, String)>>;

/// One life.
fn live(client: &mut Client<'_>, estate: &Estate, around: &Around, subject: Subject) {
    let order = json!({ "name": "t", "role": "engineer", "scope": "shop:read" }).to_string();
    let factory = [("Fastly-Key", estate.factory.as_str())];
    let made = client.change((subject, true), ("POST", "/automation-tokens"), &factory, &order);
    let made = made.expect("healthy nodes answer");
    let (secret, id) = (made.text("access_token"), made.text("id"));
    {
        let mut around = around.lock().unwrap();
        around.push_back((subject, secret.clone()));
        if around.len() > CLIENTS {
            around.pop_front();
        }
    }
    let use_it = |client: &mut Client<'_>, times: usize| {
        for _ in 0..times {
            let gate = client.a_gate();
            client.uses(subject, &secret, ORDERS, gate);
        }
    };
    use_it(client, 6);
    // By somebody whom both nodes know: the one that did not make the token may know it some milliseconds later.
    let mut headers = vec![("Fastly-Key", estate.admin.as_str())];
    if subject.is_multiple_of(10) {
        headers.push(("Prefer", "enforced"));
    }
    client
        .change((subject, false), ("DELETE", &format!("/tokens/{id}")), &headers, "")
        .expect("healthy nodes answer");
    use_it(client, 6);
    for _ in 0..4 {
        let gate = client.a_gate();
        let nth = client.below(CLIENTS);
        let other = around.lock().unwrap().get(nth).cloned();
        if let Some((other, secret)) = other {
            client.uses(other, &secret, ORDERS, gate);
        }
    }
}

/// For each token, how long after the answer to its revoke a gate let it in for the last time; zero: not after.
fn last_accepts(writes: &[Write], uses: &[Use]) -> Vec<Duration> {
    let mut last = std::collections::BTreeMap::new();
    for usage in uses.iter().filter(|usage| usage.said == Said::Allow) {
        let at = last.entry(usage.subject).or_insert(usage.called);
        *at = usage.called.max(*at);
    }
    let revokes = writes.iter().filter(|write| !write.allows);
    let after = |write: &Write| last.get(&write.subject)?.checked_sub(write.returned?);
    let mut took: Vec<_> = revokes.map(|write| after(write).unwrap_or_default()).collect();
    took.sort_unstable();
    took
}

/// The histogram.
fn print(writes: &[Write], uses: &[Use]) {
    let took = last_accepts(writes, uses);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    eprintln!(
        "{} histories, {} uses; from the answer to a revoke to the last accept: p50 {:.1?}, p99 {:.1?}, max {:.1?}",
        took.len(),
        uses.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    for step in [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000] {
        let within = took.iter().filter(|took| **took <= Duration::from_millis(step)).count();
        eprintln!("  within {step:>4} ms: {within}");
    }
}

#[test]
fn histories_of_tokens_are_right() {
    let estate = Estate::new(5);
    let urls = estate.urls();
    let (one, first) = estate.gate("one", &urls[..1], &["--lease", "5"]);
    let (two, second) = estate.gate("two", &urls[1..], &["--lease", "5"]);
    let gates = [estate.inner_gate(0), estate.inner_gate(1), first, second];
    let (book, around, next) = (Book::new(), Around::default(), AtomicUsize::new(0));
    let histories = share(2_000, 400);
    // Both are there before anything is measured.
    let mut client = Client::new(CLIENTS, &book, &estate, &gates);
    for gate in 0..gates.len() {
        client.until_let_in(histories, &estate.factory, ORDERS, gate);
    }
    thread::scope(|scope| {
        for nth in 0..CLIENTS {
            let (mut client, estate, next, around) =
                (Client::new(nth, &book, &estate, &gates), &estate, &next, &around);
            scope.spawn(move || {
                loop {
                    let subject = next.fetch_add(1, Ordering::Relaxed);
                    if subject >= histories {
                        return;
                    }
                    live(&mut client, estate, around, subject);
                }
            });
        }
    });
    drop((one, two));
    let (writes, mut uses) = book.into_parts();
    uses.retain(|usage| usage.subject < histories);
    print(&writes, &uses);
    assert_right(&writes, &uses, BOUND);
    let count = |said| uses.iter().filter(|usage| usage.said == said).count();
    let enforced = writes.iter().filter(|write| write.enforced).count();
    assert_eq!((writes.len(), enforced), (2 * histories, histories.div_ceil(10)), "not everything was done");
    assert!(count(Said::Allow) > 3 * histories && count(Said::Deny) > 3 * histories, "nothing was tried");
    assert_eq!(count(Said::CannotTell), 0, "all is well, so everybody can tell");
}
