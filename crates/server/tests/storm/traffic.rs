//! Questions to a gate without a pause, about a token that lives and one that is about to be revoked, and what was
//! answered when.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    clock::{moment, wait_for},
    house::{Token, made, question},
    http::{Ask, Client},
};

/// The tokens that are asked about.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) live: Token,
    pub(crate) doomed: Token,
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) asked: Instant,
    pub(crate) answered: Instant,
    pub(crate) doomed: bool,
    pub(crate) status: u16,
    /// When the last heartbeat was sent that the gate had an echo of by the time of the answer, if somebody knows.
    acked: Option<Instant>,
}

/// The questions.
pub(crate) struct Traffic {
    way: SocketAddr,
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pair {
    /// Two new tokens.
    pub(crate) fn new(node: SocketAddr, sudo: &Token) -> Self {
        let make = |name: &str| {
            let body = json!({ "name": name, "role": "engineer", "scope": "shop:read" });
            made(&Client::new(node).must(&Ask::new("POST /automation-tokens").key(&sudo.secret).json(&body)))
        };
        Self { live: make("live"), doomed: make("doomed") }
    }

    /// Revokes the one, at this node: when that was answered, and with what.
    pub(crate) fn revoke(&self, node: SocketAddr, sudo: &Token, prefer: &str) -> (Instant, u16) {
        let ask = Ask::new(&format!("DELETE /tokens/{}", self.doomed.id)).key(&sudo.secret);
        let answer = Client::new(node).must(&ask.header("Prefer", prefer));
        assert!([200, 202].contains(&answer.status), "{} {}", answer.status, answer.json());
        (moment(), answer.status)
    }
}

impl Traffic {
    /// Asks from now on, and returns when both tokens are let in.
    pub(crate) fn start(
        way: SocketAddr,
        pair: &Pair,
        acked: impl Fn() -> Option<Instant> + Send + 'static,
    ) -> Self {
        let (samples, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let asker = Asker { way, pair: pair.clone(), samples: Arc::clone(&samples), acked: Box::new(acked) };
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || asker.ask(&told));
        let traffic = Self { way, samples, stop, thread: Some(thread) };
        traffic.until(false, 200);
        traffic.until(true, 200);
        traffic
    }

    /// Waits for an answer.
    pub(crate) fn until(&self, doomed: bool, status: u16) {
        let began = moment();
        wait_for(&format!("{status} at {}", self.way), Duration::from_secs(20), || {
            let samples = self.samples.lock().unwrap();
            let found = samples.iter().rev().find(|sample| sample.doomed == doomed && sample.asked > began);
            found.filter(|sample| sample.status == status).map(drop)
        });
    }

    /// Ends it.
    pub(crate) fn end(mut self) -> Samples {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
        Samples(std::mem::take(&mut *self.samples.lock().unwrap()))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

struct Asker {
    way: SocketAddr,
    pair: Pair,
    samples: Arc<Mutex<Vec<Sample>>>,
    acked: Box<dyn Fn() -> Option<Instant> + Send>,
}

impl Asker {
    fn ask(&self, stop: &AtomicBool) {
        let mut client = Client::new(self.way);
        while !stop.load(Ordering::SeqCst) {
            for (doomed, token) in [(false, &self.pair.live), (true, &self.pair.doomed)] {
                let asked = moment();
                let Ok(answer) = client.ask(&question(&token.secret)) else { continue };
                let (answered, acked) = (moment(), (self.acked)());
                let sample = Sample { asked, answered, doomed, status: answer.status, acked };
                self.samples.lock().unwrap().push(sample);
            }
            thread::sleep(Duration::from_millis(3));
        }
    }
}

/// What was answered.
pub(crate) struct Samples(pub(crate) Vec<Sample>);

impl Samples {
    fn allowed(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(|sample| sample.status == 200)
    }

    /// Nobody was let in by a proof that was too old when they asked. How old the oldest was, from when the heartbeat was sent
    /// to the question.
    pub(crate) fn never_beyond(&self, lease: Duration) -> Duration {
        let age =
            |sample: &Sample| sample.asked.saturating_duration_since(sample.acked.unwrap_or(sample.answered));
        let oldest = self.allowed().map(age).max().unwrap_or_default();
        assert!(oldest <= lease, "let in {oldest:?} after the last heartbeat that had an echo was sent");
        oldest
    }

    /// Nobody who asked after this was let in. How long before it the last was who was.
    pub(crate) fn nobody_after(&self, doomed: bool, end: Instant) -> Duration {
        let last = self.allowed().filter(|sample| sample.doomed == doomed).map(|sample| sample.asked).max();
        let last = last.unwrap();
        assert!(last <= end, "let in {:?} too late", last - end);
        end - last
    }

    /// Whoever lives is never told otherwise.
    pub(crate) fn never_refused(&self) {
        let told = |sample: &&Sample| !sample.doomed && ![200, 503].contains(&sample.status);
        assert!(self.0.iter().find(told).is_none(), "{:?}", self.0.iter().find(told));
    }

    /// The first answer about the revoked token at or after this, which must not let it in.
    pub(crate) fn first_after(&self, resumed: Instant) -> u16 {
        let first = self.0.iter().find(|sample| sample.doomed && sample.answered >= resumed).unwrap();
        assert_ne!(first.status, 200, "the first answer after the pause lets a revoked token in");
        first.status
    }

    /// What was answered to questions between these.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| from <= sample.asked && sample.answered <= to)
    }
}
