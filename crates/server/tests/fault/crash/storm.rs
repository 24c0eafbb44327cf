//! Eight writers over HTTP, and the ledger of what each was told.

use std::{io, net::SocketAddr, time::Duration};

use serde_json::json;

use crate::{
    clock::Chance,
    http::{Answer, Ask, Client},
};

/// After how many things made a writer makes tokens of machines.
const OWN_TOKENS: u32 = 10;

/// Somebody who makes and revokes tokens, and makes services.
pub(crate) struct Writer {
    pub(crate) number: usize,
    pub(crate) sudo_token: String,
    pub(crate) ledger: Ledger,
    chance: Chance,
    made: u32,
}

/// What a writer was told.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) tokens: Vec<Token>,
    pub(crate) services: Vec<String>,
}

/// A token whose making was acknowledged.
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) fate: Fate,
}

/// What is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Alive,
    /// Its revocation was asked for, and nobody has said what came of that.
    InDoubt,
    Revoked,
}

impl Writer {
    pub(crate) fn new(number: usize, sudo_token: String, seed: u64) -> Self {
        Self { number, sudo_token, ledger: Ledger::default(), chance: Chance::new(seed), made: 0 }
    }

    /// Writes until the server is gone.
    pub(crate) fn storm(&mut self, server: SocketAddr) {
        let mut client = Client::new(server);
        loop {
            let done = match self.chance.below(10) {
                0..=5 => self.create_token(&mut client),
                6..=8 => self.revoke(&mut client),
                _ => self.create_service(&mut client),
            };
            if done.is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(self.chance.next() % 12));
        }
    }

    fn create_token(&mut self, client: &mut Client) -> io::Result<()> {
        self.made += 1;
        let name = format!("writer {} token {}", self.number, self.made);
        // A person has a hundred tokens at most; machines take the rest.
        let ask = if self.made <= OWN_TOKENS {
            Ask::new("POST /tokens").key(&self.sudo_token).json(&json!({ "name": name }))
        } else {
            let machine = json!({ "name": name, "role": "engineer" });
            Ask::new("POST /automation-tokens").key(&self.sudo_token).json(&machine)
        };
        let made = client.ask(&ask)?;
        if acknowledged(&made) {
            let (id, secret) = (made.text("id"), made.text("access_token"));
            self.ledger.tokens.push(Token { id, secret, fate: Fate::Alive });
        }
        Ok(())
    }

    fn revoke(&mut self, client: &mut Client) -> io::Result<()> {
        let place = self.chance.below(self.ledger.tokens.len());
        let Some(token) = self.ledger.tokens.get_mut(place).filter(|token| token.fate == Fate::Alive) else {
            return Ok(());
        };
        token.fate = Fate::InDoubt;
        let line = format!("DELETE /tokens/{}", token.id);
        if acknowledged(&client.ask(&Ask::new(&line).key(&self.sudo_token))?) {
            token.fate = Fate::Revoked;
        }
        Ok(())
    }

    fn create_service(&mut self, client: &mut Client) -> io::Result<()> {
        self.made += 1;
        let name = format!("writer {} service {}", self.number, self.made);
        let made =
            client.ask(&Ask::new("POST /service").key(&self.sudo_token).json(&json!({ "name": name })))?;
        if acknowledged(&made) {
            self.ledger.services.push(made.text("id"));
        }
        Ok(())
    }
}

/// Whether it was; a server that is up may only say yes, or that it cannot.
fn acknowledged(answer: &Answer) -> bool {
    assert!(answer.is_ok() || answer.status == 503, "{} {}", answer.status, answer.json());
    answer.is_ok()
}
