//! Kills at random moments (SECURITY-BAR K09).

use std::time::Duration;

use super::{
    check::{Found, audit, over_http, told_of},
    guesses::{Guesser, Target},
    storm::{Fate, Writer},
};
use crate::{
    clock::{Chance, moment},
    house::{House, Person, Server},
};

const ROUNDS: usize = 50;
const WRITERS: usize = 8;
const PASSWORD: &str = "a password for the storm";

/// A house full of people who are about to write.
struct Harness {
    house: House,
    people: Vec<Person>,
    writers: Vec<Writer>,
    guesser: Guesser,
    chance: Chance,
}

impl Harness {
    fn new(name: &str, targets: usize) -> Self {
        let house = House::new(name);
        let customer = house.customer();
        let person = |login: &str| house.person(&customer, login, "superuser", PASSWORD);
        let people: Vec<_> =
            (0..WRITERS).map(|number| person(&format!("writer{number}@example.com"))).collect();
        let target = |number: usize| {
            let person = person(&format!("target{number}@example.com"));
            let factor = house.totp(&person);
            Target::new(person, Some(factor))
        };
        let targets = (0..targets).map(target).collect();
        let guesser = Guesser { targets, passwords: Target::new(person("victim@example.com"), None) };
        let mut chance = Chance::of_the_day();
        let writer = |number| Writer::new(number, String::new(), chance.next());
        let writers = (0..WRITERS).map(writer).collect();
        Self { house, people, writers, guesser, chance }
    }

    /// Logs everybody in, before anything is killed.
    fn log_in(&mut self, server: &Server) {
        let mut client = server.client();
        for (writer, person) in self.writers.iter_mut().zip(&self.people) {
            writer.sudo_token = person.sudo_token(&mut client);
        }
    }

    /// Sudo lasts five minutes, so it is begun anew now and then.
    fn renew_sudo(&mut self, server: &Server) {
        let mut client = server.client();
        for (writer, person) in self.writers.iter().zip(&self.people) {
            person.sudo(&mut client, &writer.sudo_token);
        }
    }

    /// Everybody writes, and the power goes at a random moment.
    fn storm(&mut self, server: Server) {
        let address = server.address;
        let life = Duration::from_millis(250 + self.chance.next() % 650);
        let Self { house, writers, guesser, chance, .. } = self;
        std::thread::scope(|scope| {
            for writer in writers {
                scope.spawn(|| writer.storm(address));
            }
            scope.spawn(|| guesser.storm(address, chance));
            std::thread::sleep(life);
            house.cut_the_power(server);
        });
    }

    /// What the files that the kill left do not hold of what was told.
    fn look_at_files(&self) -> Vec<String> {
        let photograph = self.house.photograph();
        let found = Found::read(&photograph);
        let mut odd: Vec<_> = self.writers.iter().flat_map(|writer| found.missing(&writer.ledger)).collect();
        odd.extend(found.halves());
        let guesses = self.guesser.targets.iter().chain([&self.guesser.passwords]);
        odd.extend(guesses.filter_map(|target| found.miscounted(target)));
        odd.extend(audit(&photograph));
        odd
    }

    /// What the next server says otherwise than was told, about what is new since `from`, and samples of the rest.
    fn look_at_answers(&mut self, server: &Server, from: &[usize]) -> Vec<String> {
        let mut client = server.client();
        let mut odd = Vec::new();
        for (writer, from) in self.writers.iter_mut().zip(from) {
            odd.extend(over_http(&mut client, &mut writer.ledger, *from, &mut self.chance));
        }
        odd
    }

    fn sizes(&self) -> Vec<usize> {
        self.writers.iter().map(|writer| writer.ledger.tokens.len()).collect()
    }

    fn report(&self, rounds: usize) -> String {
        let tokens = || self.writers.iter().flat_map(|writer| &writer.ledger.tokens);
        let services: usize = self.writers.iter().map(|writer| writer.ledger.services.len()).sum();
        let revoked = tokens().filter(|token| token.fate == Fate::Revoked).count();
        let guesses: u32 = self.guesser.targets.iter().map(|target| target.told).sum();
        format!(
            "{rounds} kills; acknowledged: {} tokens, {revoked} revocations, {services} services, {guesses} wrong \
             codes, {} wrong passwords",
            tokens().count(),
            self.guesser.passwords.told
        )
    }
}

fn none(odd: &[String]) {
    assert!(odd.is_empty(), "{} differences, the first: {:#?}", odd.len(), &odd[..odd.len().min(10)]);
}

#[test]
fn fifty_kills_under_eight_writers_lose_nothing_that_was_acknowledged() {
    let began = moment();
    let mut harness = Harness::new("kills", 5);
    harness.house.on_a_forgetful_disk();
    let mut server = harness.house.start(&[]);
    harness.log_in(&server);
    for round in 0..ROUNDS {
        let from = harness.sizes();
        harness.storm(server);
        none(&harness.look_at_files());
        server = harness.house.start(&[]);
        none(&harness.look_at_answers(&server, &from));
        if round % 10 == 9 {
            eprintln!("{} after {:.0?}", harness.report(round + 1), began.elapsed());
            harness.renew_sudo(&server);
        }
    }
    none(&harness.look_at_answers(&server, &[0; WRITERS]));
    every_event_is_told(&harness, &server);
    who_was_locked_stays_locked(&mut harness, &server);
    server.stop();
    none(&harness.look_at_files());
    eprintln!("{} in {:.0?}", harness.report(ROUNDS), began.elapsed());
}

fn every_event_is_told(harness: &Harness, server: &Server) {
    let mut client = server.client();
    let key = &harness.writers[0].sudo_token;
    let (made, revoked) =
        (told_of(&mut client, key, "token.create"), told_of(&mut client, key, "token.destroy"));
    for token in harness.writers.iter().flat_map(|writer| &writer.ledger.tokens) {
        assert!(made.contains(&token.id), "GET /events does not tell of token {}", token.id);
        assert_eq!(
            revoked.contains(&token.id),
            token.fate == Fate::Revoked,
            "revocation of token {}",
            token.id
        );
    }
}

/// Ten wrong codes, told to be wrong between kills, lock the factor: the right code is refused now.
fn who_was_locked_stays_locked(harness: &mut Harness, server: &Server) {
    let locked = harness.guesser.targets.iter_mut().filter(|target| target.is_locked());
    let mut count = 0;
    for target in locked {
        let code = target.factor.as_ref().unwrap().code();
        target.tried += 1;
        let answer = server.client().must(&target.person.login(Some(&code)));
        assert_eq!(answer.code(), "factor_locked", "{}", answer.json());
        count += 1;
    }
    assert!(count > 0, "nobody was locked: too few guesses to say anything");
}

#[test]
fn a_disk_that_is_never_synced_is_found_out() {
    for round in 0..3 {
        let mut harness = Harness::new("unsafe", 1);
        harness.house.on_a_forgetful_disk();
        let server = harness.house.start(&[]);
        harness.log_in(&server);
        server.stop();
        harness.house.env("KEYGATE_UNSAFE_SYNC_OFF", "true");
        let server = harness.house.start(&[]);
        harness.storm(server);
        let told: usize = harness.sizes().iter().sum();
        let lost = harness.look_at_files().iter().filter(|odd| odd.contains("was told to be")).count();
        let server = harness.house.start(&[]);
        let refused = harness.look_at_answers(&server, &[0; WRITERS]).len();
        eprintln!(
            "unsafe round {round}: of {told} tokens and some services {lost} lost, {refused} answered otherwise"
        );
        assert!(
            lost > 0 && refused > 0,
            "nothing acknowledged was lost without a single sync: this test is blind"
        );
    }
}

#[test]
fn a_kill_on_an_ordinary_disk_loses_nothing_either() {
    let mut harness = Harness::new("plain", 1);
    let server = harness.house.start(&[]);
    harness.log_in(&server);
    harness.storm(server);
    none(&harness.look_at_files());
    let server = harness.house.start(&[]);
    none(&harness.look_at_answers(&server, &[0; WRITERS]));
}
