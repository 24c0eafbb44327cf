//! Somebody who guesses codes and passwords. What they were told was wrong must stay counted.

use std::{io, net::SocketAddr, time::Duration};

use crate::{
    clock::Chance,
    house::{Factor, Person},
    http::Client,
};

/// Wrong codes in a row that lock a factor.
pub(crate) const LOCK: u32 = 10;

/// A guesser of the codes of some people, one after the other until their factor is locked, and of one's password.
pub(crate) struct Guesser {
    pub(crate) targets: Vec<Target>,
    pub(crate) passwords: Target,
}

/// Whose, and how often.
pub(crate) struct Target {
    pub(crate) person: Person,
    pub(crate) factor: Option<Factor>,
    /// Guesses that were sent.
    pub(crate) tried: u32,
    /// Guesses that were told to be wrong.
    pub(crate) told: u32,
    /// Whether a guess was told that the factor is locked: a wrong guess whose answer was lost counts too.
    told_locked: bool,
}

impl Target {
    pub(crate) fn new(person: Person, factor: Option<Factor>) -> Self {
        Self { person, factor, tried: 0, told: 0, told_locked: false }
    }

    /// Whether this factor must be locked, after what was told.
    pub(crate) fn is_locked(&self) -> bool {
        self.told >= LOCK || self.told_locked
    }

    fn guess(&mut self, client: &mut Client) -> io::Result<()> {
        let guess = match &self.factor {
            Some(factor) => self.person.login(Some(&factor.wrong_code())),
            None => self.person.login_with("not the password", None),
        };
        self.tried += 1;
        let answer = client.ask(&guess)?;
        match (answer.status, answer.code().as_str()) {
            (400, "login_failed") => self.told += 1,
            (400, "factor_locked") if self.tried > LOCK => self.told_locked = true,
            (503, _) => {}
            odd => panic!("a wrong guess is answered {odd:?}"),
        }
        Ok(())
    }
}

impl Guesser {
    /// Guesses a few times, or until the server is gone. Each guess costs an Argon2, so there are not many.
    pub(crate) fn storm(&mut self, server: SocketAddr, chance: &mut Chance) {
        let mut client = Client::new(server);
        for number in 0..3 {
            std::thread::sleep(Duration::from_millis(chance.next() % 150));
            let target = self.targets.iter_mut().find(|target| !target.is_locked());
            let target = if number == 1 { Some(&mut self.passwords) } else { target };
            let Some(target) = target else { continue };
            if target.guess(&mut client).is_err() {
                return;
            }
        }
    }
}
