//! Asks gates about the tokens of a ledger for as long as it goes on, and notes what no gate may say.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use crate::{
    clock::{Chance, moment},
    house::question,
    http::{Ask, Client},
    writers::{Fate, Ledger, Told},
};

/// How a gate is watched.
pub(crate) struct Watch {
    pub(crate) at: SocketAddr,
    pub(crate) way: SocketAddr,
    /// Its lease: what was acknowledged longer ago, it knows or cannot tell.
    pub(crate) lease: Duration,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) allowed: AtomicUsize,
    pub(crate) denied: AtomicUsize,
    pub(crate) unsure: AtomicUsize,
}

impl Watch {
    /// Watches until the ledger's writers are told to stop.
    pub(crate) fn keep(&self, ledger: &Ledger, seen: &Seen, seed: u64) {
        let (mut chance, mut client, mut other) =
            (Chance::new(seed), Client::new(self.way), Client::new(self.at));
        let mut highest = 0;
        while !ledger.has_stopped() {
            if self.ask(ledger, seen, &mut client, &mut chance).is_none() {
                client = Client::new(self.way);
                std::thread::sleep(Duration::from_millis(10));
            }
            match position(&mut other) {
                Ok(Some(position)) if position < highest => {
                    ledger.note(format!("a gate went from {highest} back to {position}"));
                }
                Ok(position) => highest = highest.max(position.unwrap_or(0)),
                Err(_) => other = Client::new(self.at),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn ask(&self, ledger: &Ledger, seen: &Seen, client: &mut Client, chance: &mut Chance) -> Option<()> {
        let told = ledger.now();
        // The newest are the ones that may be on their way.
        let from = told.len().saturating_sub(if chance.below(2) == 0 { 40 } else { told.len() });
        let place = from + chance.below(told.len() - from);
        let Some(told) = told.get(place) else { return Some(()) };
        let asked = moment();
        let answer = client.ask(&question(&told.token.secret)).ok()?;
        match answer.status {
            200 => seen.allowed.fetch_add(1, Ordering::Relaxed),
            401 => seen.denied.fetch_add(1, Ordering::Relaxed),
            _ => seen.unsure.fetch_add(1, Ordering::Relaxed),
        };
        if let Some(odd) = self.judge(told, answer.status, asked)
            && (answer.status == 200 || ledger.is_alive(place))
        {
            ledger.note(format!("gate at {}: {odd}", self.way));
        }
        Some(())
    }

    fn judge(&self, told: &Told, status: u16, asked: Instant) -> Option<String> {
        let id = &told.token.id;
        match (status, told.fate) {
            (200, Fate::Revoked(at, true)) if at < asked => Some(format!("{id} let in after a receipt")),
            (200, Fate::Revoked(at, false)) if at + self.lease < asked => {
                Some(format!("{id} let in {:?} after its revoke", asked - at))
            }
            (401, Fate::Alive) if told.since + self.lease < asked => {
                Some(format!("{id} refused {:?} after it was made", asked - told.since))
            }
            (200 | 401 | 503, _) => None,
            _ => Some(format!("{id}: {status}")),
        }
    }
}

/// The position of a gate that is ready.
fn position(client: &mut Client) -> std::io::Result<Option<i64>> {
    let answer = client.ask(&Ask::new("GET /readyz"))?;
    Ok(answer.json()["position"].as_i64().filter(|_| answer.status == 200))
}
