//! Codes that are good for once are good for once, 64 at a time and across a power cut (SECURITY-BAR K13, K25).

use std::{collections::BTreeMap, sync::Barrier};

use crate::{
    clock::wall,
    house::{Factor, House, Person, Server},
    http::{Answer, Ask, Client},
};

const AT_ONCE: usize = 64;

fn house(name: &str) -> (House, Person, Factor) {
    let mut house = House::new(name);
    let customer = house.customer();
    let person = house.person(&customer, "ada@example.com", "superuser", "a password for Ada");
    let factor = house.totp(&person);
    house.on_a_forgetful_disk();
    (house, person, factor)
}

/// Sends the same request over as many connections at once.
fn at_once(server: &Server, ask: &Ask) -> Vec<Answer> {
    let start = Barrier::new(AT_ONCE);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::new(server.address);
                    client.connect().unwrap();
                    start.wait();
                    client.must(ask)
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    })
}

/// Exactly one may be let in; returns its answer.
fn the_one(answers: Vec<Answer>) -> Answer {
    let mut seen = BTreeMap::<_, u32>::new();
    for answer in &answers {
        assert!(
            (200..500).contains(&answer.status) || answer.status == 503,
            "{} {}",
            answer.status,
            answer.json()
        );
        *seen.entry((answer.status, answer.code())).or_default() += 1;
    }
    eprintln!("{AT_ONCE} at once: {seen:?}");
    let mut let_in = answers.into_iter().filter(Answer::is_ok);
    let one = let_in.next().expect("nobody was let in by the right code");
    assert_eq!((one.status, let_in.count()), (200, 0), "more than one was let in by one code");
    one
}

#[test]
fn one_code_lets_one_of_sixty_four_in_and_stays_used_after_a_kill() {
    let (house, person, factor) = house("one-code");
    let server = house.start(&[]);
    let code = factor.code();
    let ask = person.login(Some(&code));
    let began = wall();
    let secret = the_one(at_once(&server, &ask)).text("access_token");
    house.cut_the_power(server);
    let server = house.start(&[]);
    let mut client = server.client();
    assert_eq!(client.must(&Ask::new("GET /tokens/self").key(&secret)).status, 200);
    let again = client.must(&ask);
    // A code is good in its step and the next; had this taken longer, the answer would prove nothing.
    assert!(wall().seconds() - began.seconds() < 30, "too slow to tell a used code from an old one");
    assert_eq!((again.status, again.code().as_str()), (400, "otp_already_used"));
}

#[test]
fn one_recovery_code_lets_one_of_sixty_four_in_and_stays_used_after_a_kill() {
    let (house, person, factor) = house("one-recovery-code");
    let server = house.start(&[]);
    let ask = person.login(Some(&factor.recovery[4]));
    the_one(at_once(&server, &ask));
    house.cut_the_power(server);
    let server = house.start(&[]);
    let mut client = server.client();
    let again = client.must(&ask);
    assert_eq!((again.status, again.code().as_str()), (400, "login_failed"), "a used recovery code");
    let other = client.must(&person.login(Some(&factor.recovery[5])));
    assert_eq!(other.status, 200, "another recovery code: {}", other.json());
}
