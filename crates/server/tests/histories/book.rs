//! Clients, and the book in which they write down what they did, on one clock.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use keygate_server::edge::Stopwatch;

use crate::{
    checker::{Said, Subject, Use, Violation, Write, check},
    estate::{Estate, Gate},
    line::{Line, Reply},
};

/// What "at once" is: whoever waits longer than this after the answer to a change finds it in force.
pub(crate) const BOUND: Duration = Duration::from_secs(1);

/// How long anything may take that is not about time.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Book {
    clock: Stopwatch,
    written: Mutex<Vec<Write>>,
    used: Mutex<Vec<Use>>,
}

/// A client with connections of its own to every gate and every node.
pub(crate) struct Client<'b> {
    nth: usize,
    book: &'b Book,
    ways: Vec<Line>,
    healths: Vec<Line>,
    pub(crate) apis: Vec<Line>,
    state: u64,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self { clock: Stopwatch::start(), written: Mutex::default(), used: Mutex::default() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Writes down a change of each of these that this brings about.
    pub(crate) fn write(
        &self,
        subjects: &[Subject],
        allows: bool,
        change: impl FnOnce() -> std::io::Result<Reply>,
    ) -> Option<Reply> {
        let called = self.now();
        let reply = change().ok().filter(|reply| reply.status < 500);
        if let Some(reply) = reply.as_ref().filter(|reply| reply.status >= 300) {
            panic!("nobody expects a refusal here: {reply:?}");
        }
        let returned = reply.is_some().then(|| self.now());
        let position = reply.as_ref().and_then(|reply| reply.position);
        let enforced = reply.as_ref().is_some_and(|reply| reply.json()["enforced"] == true);
        let write =
            |subject: &Subject| Write { subject: *subject, allows, called, returned, position, enforced };
        self.written.lock().unwrap_or_else(PoisonError::into_inner).extend(subjects.iter().map(write));
        reply
    }

    /// The same of a change that no answer tells the position of.
    pub(crate) fn command(&self, subject: Subject, allows: bool, change: impl FnOnce()) {
        let called = self.now();
        change();
        let (returned, position, enforced) = (Some(self.now()), None, false);
        let write = Write { subject, allows, called, returned, position, enforced };
        self.written.lock().unwrap_or_else(PoisonError::into_inner).push(write);
    }

    pub(crate) fn into_parts(self) -> (Vec<Write>, Vec<Use>) {
        let whole = |poisoned: PoisonError<_>| poisoned.into_inner();
        (
            self.written.into_inner().unwrap_or_else(PoisonError::into_inner),
            self.used.into_inner().unwrap_or_else(whole),
        )
    }
}

impl<'b> Client<'b> {
    pub(crate) fn new(nth: usize, book: &'b Book, estate: &Estate, gates: &[Gate]) -> Self {
        Self {
            nth,
            book,
            ways: gates.iter().map(|gate| Line::to(gate.way.clone())).collect(),
            healths: gates.iter().map(|gate| Line::to(gate.health.clone())).collect(),
            apis: [0, 1].map(|node| Line::to(estate.api(node))).into(),
            state: nth as u64 + 1,
        }
    }

    /// A number below this one; which, depends on the client alone.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // Knuth's constants; the low bits are the poor ones.
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % bound
    }

    pub(crate) fn a_gate(&mut self) -> usize {
        self.below(self.ways.len())
    }

    /// A request to a node that changes something, written down.
    pub(crate) fn change(
        &mut self,
        (subject, allows): (Subject, bool),
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Reply> {
        let node = self.below(2);
        self.change_at(node, &[subject], allows, (method, path), headers, body)
    }

    /// The same of several at once, to this node.
    pub(crate) fn change_at(
        &mut self,
        node: usize,
        subjects: &[Subject],
        allows: bool,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Reply> {
        let headers = [headers, &[("Content-Type", "application/json")]].concat();
        let Self { book, apis, .. } = self;
        book.write(subjects, allows, || apis[node].ask(method, path, &headers, body))
    }

    /// How far a gate says that it is.
    pub(crate) fn position_of(&mut self, gate: usize) -> Option<i64> {
        self.healths[gate].ask("GET", "/readyz", &[], "").ok()?.json()["position"].as_i64()
    }

    /// Uses a token at a gate for this path, and writes down what it said; now and then it asks for its position before.
    pub(crate) fn uses(&mut self, subject: Subject, secret: &str, path: &str, gate: usize) -> Said {
        let knew = if self.below(2) == 0 { self.position_of(gate) } else { None };
        let url = format!("https://api.shop.example.com{path}");
        let headers = [
            ("Fastly-Key", secret),
            ("X-Original-Method", "GET"),
            ("X-Original-URL", &url),
            ("X-Forwarded-For", "192.0.2.1"),
        ];
        let called = self.book.now();
        let reply = self.ways[gate].ask("GET", "/authz/auth-request", &headers, "");
        let returned = self.book.now();
        let said = match reply.map(|reply| reply.status) {
            Ok(200 | 204) => Said::Allow,
            Ok(401 | 403) => Said::Deny,
            Ok(500..) | Err(_) => Said::CannotTell,
            Ok(other) => panic!("{other} is no answer to a proxy"),
        };
        let usage = Use { subject, client: self.nth, gate, called, returned, said, knew };
        self.book.used.lock().unwrap_or_else(PoisonError::into_inner).push(usage);
        said
    }
}

impl Client<'_> {
    /// Uses it until the gate lets it in.
    pub(crate) fn until_let_in(&mut self, subject: Subject, secret: &str, path: &str, gate: usize) {
        let begun = self.book.now();
        while self.uses(subject, secret, path, gate) != Said::Allow {
            assert!(self.book.now() - begun < PATIENCE, "gate {gate} does not let subject {subject} in");
        }
    }
}

/// Nothing is wrong with a history.
pub(crate) fn assert_right(writes: &[Write], uses: &[Use], bound: Duration) {
    let wrong: Vec<Violation> = check(writes, uses, bound);
    let shown: Vec<_> = wrong
        .iter()
        .take(5)
        .map(|(why, usage)| {
            let writes: Vec<_> = writes.iter().filter(|write| write.subject == usage.subject).collect();
            format!("{why:?}: {usage:?} after {writes:?}")
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} answers are wrong:\n{}", wrong.len(), uses.len(), shown.join("\n"));
}
