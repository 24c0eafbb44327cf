//! Writers over HTTP who go on whatever happens, and the ledger of what each was told.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    clock::{Chance, moment},
    house::{Token, question, renew_sudo},
    http::{Answer, Ask, Client},
};

/// Sudo lasts five minutes.
const SUDO_AGAIN: Duration = Duration::from_secs(120);

/// What the writers were told, for all to see.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) told: Mutex<Vec<Told>>,
    /// The names of tokens that were told not to be made.
    pub(crate) refused: Mutex<Vec<String>>,
    /// Answers that nobody may give, whatever is dead.
    pub(crate) odd: Mutex<Vec<String>>,
    pub(crate) stop: AtomicBool,
}

/// A token whose making was acknowledged.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) token: Token,
    pub(crate) since: Instant,
    pub(crate) fate: Fate,
}

/// What is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Alive,
    /// Its revoke was asked for, and nobody has said what came of that.
    InDoubt,
    /// Since when that is acknowledged, and whether as enforced at every gate.
    Revoked(Instant, bool),
}

impl Ledger {
    pub(crate) fn now(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn note(&self, odd: String) {
        self.odd.lock().unwrap().push(odd);
    }

    /// Whether nobody has asked for its revoke so far.
    pub(crate) fn is_alive(&self, place: usize) -> bool {
        self.told.lock().unwrap()[place].fate == Fate::Alive
    }

    fn settle(&self, place: usize, fate: Fate) {
        self.told.lock().unwrap()[place].fate = fate;
    }

    /// One that nobody else revokes, now in doubt.
    fn take(&self, chance: &mut Chance) -> Option<(usize, Token)> {
        let mut told = self.told.lock().unwrap();
        let place = chance.below(told.len());
        let found = told.get_mut(place).filter(|told| told.fate == Fate::Alive)?;
        found.fate = Fate::InDoubt;
        Some((place, found.token.clone()))
    }
}

/// Somebody who makes, uses and revokes tokens at a node.
pub(crate) struct Writer<'l> {
    node: SocketAddr,
    client: Client,
    sudo: Token,
    ledger: &'l Ledger,
    chance: Chance,
    made: u64,
}

/// What came of a change that was asked for.
enum Outcome {
    Done(Answer),
    /// It was told that nothing was changed.
    NotDone,
    /// Nobody has said.
    Unknown,
}

impl<'l> Writer<'l> {
    pub(crate) fn new(node: SocketAddr, sudo: Token, ledger: &'l Ledger, seed: u64) -> Self {
        Self { node, client: Client::new(node), sudo, ledger, chance: Chance::new(seed), made: 0 }
    }

    /// Writes until it is told to stop.
    pub(crate) fn write(mut self) {
        let mut shown = moment();
        while !self.ledger.has_stopped() {
            if shown.elapsed() > SUDO_AGAIN && renew_sudo(&mut self.client, &self.sudo) {
                shown = moment();
            }
            let done = match self.chance.below(10) {
                0..=4 => self.create(),
                5..=7 => self.revoke(),
                _ => self.use_one(),
            };
            if done.is_none() {
                self.client = Client::new(self.node);
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_millis(self.chance.next() % 12));
        }
    }

    fn create(&mut self) -> Option<()> {
        self.made += 1;
        let name = format!("{} {}", self.sudo.id, self.made);
        let body = json!({ "name": name, "role": "engineer", "scope": "shop:read" });
        match self.change(&Ask::new("POST /automation-tokens").key(&self.sudo.secret).json(&body)) {
            Outcome::Done(made) => {
                let token = Token { id: made.text("id"), secret: made.text("access_token") };
                let told = Told { token, since: moment(), fate: Fate::Alive };
                self.ledger.told.lock().unwrap().push(told);
                Some(())
            }
            Outcome::NotDone => {
                self.ledger.refused.lock().unwrap().push(name);
                None
            }
            Outcome::Unknown => None,
        }
    }

    fn revoke(&mut self) -> Option<()> {
        self.client.connect().ok()?;
        let Some((place, token)) = self.ledger.take(&mut self.chance) else { return Some(()) };
        let ask = Ask::new(&format!("DELETE /tokens/{}", token.id)).key(&self.sudo.secret);
        let waits = self.chance.below(4) == 0;
        match self.change(&if waits { ask.header("Prefer", "enforced, wait=1") } else { ask }) {
            Outcome::Done(answer) => {
                let enforced = waits && answer.status == 200;
                self.ledger.settle(place, Fate::Revoked(moment(), enforced));
                Some(())
            }
            Outcome::NotDone => {
                self.ledger.settle(place, Fate::Alive);
                None
            }
            Outcome::Unknown => None,
        }
    }

    fn use_one(&mut self) -> Option<()> {
        let told = self.ledger.now();
        let place = self.chance.below(told.len());
        let Some(told) = told.get(place) else { return Some(()) };
        let asked = moment();
        let answer = self.client.ask(&question(&told.token.secret)).ok()?;
        match (answer.status, told.fate) {
            (200, Fate::Revoked(at, _)) if at < asked => {
                self.ledger.note(format!("the node lets revoked token {} in", told.token.id));
            }
            (401, _) if self.ledger.is_alive(place) => {
                self.ledger.note(format!("the node refuses token {}", told.token.id));
            }
            (200 | 401 | 503, _) => {}
            (status, _) => self.ledger.note(format!("the node says {status} {}", answer.json())),
        }
        (answer.status != 503).then_some(())
    }

    /// Asks for a change that can be made: nobody may say that it cannot.
    fn change(&mut self, ask: &Ask) -> Outcome {
        let Ok(answer) = self.client.ask(ask) else { return Outcome::Unknown };
        match answer.status {
            200..300 => Outcome::Done(answer),
            503 if answer.code() == "outcome_unknown" => Outcome::Unknown,
            503 => Outcome::NotDone,
            status => {
                self.ledger.note(format!("{}: {status} {}", ask.shown(), answer.json()));
                Outcome::Unknown
            }
        }
    }
}
