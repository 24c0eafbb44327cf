//! K07 c and d: rights that come and go with a person, a customer and a role, and what is added after one was taken.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    book::{BOUND, Book, Client, assert_right},
    checker::{Said, Subject, Use, Write, Wrong, check},
    estate::{Estate, Gate, ORDERS},
    process::Server,
    share,
};

const USERS: usize = 12;

/// What is taken away and given back.
#[derive(Clone, Copy)]
enum Right {
    /// A person is locked, by the id.
    Lock,
    /// A person's role is one that may nothing in the shop.
    Role,
    /// A customer is suspended, on the command line, beside the nodes.
    Customer,
}

/// Somebody's token, and how their right is taken.
struct Subjected {
    right: Right,
    /// The person's id, or the customer's.
    id: String,
    secret: String,
}

fn four_gates(estate: &Estate) -> ([Server; 2], [Gate; 4]) {
    let [first, second] = estate.urls();
    let (one, first) = estate.gate("one", &[first], &["--lease", "5"]);
    let (two, second) = estate.gate("two", &[second], &["--lease", "5"]);
    ([one, two], [estate.inner_gate(0), estate.inner_gate(1), first, second])
}

impl Subjected {
    fn new(estate: &Estate, nth: usize) -> Self {
        let right = [Right::Lock, Right::Role, Right::Customer][nth % 3];
        let login = format!("person{nth}@example.com");
        let customer = match right {
            Right::Customer => {
                let made = estate.run(&["customer", "create", "--name", &login], "");
                made["id"].as_str().unwrap().to_owned()
            }
            _ => estate.customer.clone(),
        };
        let person = estate.person(&customer, &login, "engineer");
        let secret = estate.login(&login, "shop:read");
        Self { right, id: if matches!(right, Right::Customer) { customer } else { person }, secret }
    }

    /// Takes the right or gives it back.
    fn set(&self, client: &mut Client<'_>, estate: &Estate, book: &Book, subject: Subject, allows: bool) {
        let body = match self.right {
            Right::Lock => json!({ "locked": !allows }),
            Right::Role => json!({ "role": if allows { "engineer" } else { "billing" } }),
            Right::Customer => {
                let state = if allows { "active" } else { "suspended" };
                book.command(subject, allows, || {
                    estate.run(&["customer", "update", "--customer", &self.id, "--state", state], "");
                });
                return;
            }
        };
        let (path, key) = (format!("/user/{}", self.id), [("Fastly-Key", estate.admin.as_str())]);
        let changed = client.change((subject, allows), ("PUT", &path), &key, &body.to_string());
        changed.expect("healthy nodes answer");
    }
}

#[test]
fn histories_of_people_customers_and_roles_are_right() {
    let estate = Estate::new(5);
    let (processes, gates) = four_gates(&estate);
    let people: Vec<_> = (0..6).map(|nth| Subjected::new(&estate, nth)).collect();
    let (book, stop) = (Book::new(), AtomicBool::new(false));
    // They have had it from the beginning.
    for subject in 0..people.len() {
        book.command(subject, true, || {});
    }
    let rounds = share(60, 4);
    thread::sleep(BOUND);
    thread::scope(|scope| {
        let setters: Vec<_> = people
            .iter()
            .enumerate()
            .map(|(subject, person)| {
                let (mut client, estate, book) =
                    (Client::new(100 + subject, &book, &estate, &gates), &estate, &book);
                scope.spawn(move || {
                    for round in 0..2 * rounds {
                        person.set(&mut client, estate, book, subject, round % 2 == 1);
                        // Shorter than the bound, where only positions and what a gate has said can show it, and longer.
                        let pause = [20, 200, 1_400][client.below(3)];
                        thread::sleep(Duration::from_millis(pause));
                    }
                })
            })
            .collect();
        for nth in 0..USERS {
            let (mut client, people, stop) = (Client::new(nth, &book, &estate, &gates), &people, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let (subject, gate) = (client.below(people.len()), client.a_gate());
                    client.uses(subject, &people[subject].secret, ORDERS, gate);
                }
            });
        }
        setters.into_iter().for_each(|setter| setter.join().unwrap());
        stop.store(true, Ordering::Relaxed);
    });
    drop(processes);
    let (writes, uses) = book.into_parts();
    let count = |said| uses.iter().filter(|usage| usage.said == said).count();
    let (allowed, denied, neither) = (count(Said::Allow), count(Said::Deny), count(Said::CannotTell));
    eprintln!("{} changes, {allowed} allowed, {denied} denied, {neither} could not be told", writes.len());
    assert_right(&writes, &uses, BOUND);
    // The control: had every change been in force so much sooner, somebody would have seen that it was not.
    let sooner = |at: Duration| at.saturating_sub(Duration::from_millis(1_400));
    let sooner: Vec<_> = writes
        .iter()
        .map(|write| Write {
            called: sooner(write.called),
            returned: write.returned.map(sooner),
            position: None,
            ..write.clone()
        })
        .collect();
    let wrong = check(&sooner, &uses, BOUND);
    assert!(wrong.iter().any(|(wrong, _)| *wrong == Wrong::Late), "{} are wrong", wrong.len());
    assert!(allowed > 100 * rounds && denied > 100 * rounds && neither == 0, "nothing was tried");
}

/// A right is taken, and then something is added, by another node. Whoever lost the right must not see what came later
/// at any gate, also not at one that has heard of neither yet (the "new enemy" of the Zanzibar paper).
#[test]
fn histories_of_new_enemies_let_nobody_in() {
    let estate = Estate::new(5);
    let (processes, gates) = four_gates(&estate);
    let enemy = estate.person(&estate.customer, "enemy@example.com", "engineer");
    estate.person(&estate.customer, "friend@example.com", "engineer");
    let secrets = ["enemy", "friend"].map(|who| estate.login(&format!("{who}@example.com"), "shop:read"));
    let (book, pairs) = (Book::new(), share(300, 20));
    let key = [("Fastly-Key", estate.admin.as_str())];
    let mut setter = Client::new(USERS, &book, &estate, &gates);
    let (mut before, mut shown) = (0, 0);
    for pair in 0..pairs {
        // Of each pair: the enemy and what is new, the friend and what is new, the enemy and what they may see before.
        let [new_enemy, new_friend, old] = [3 * pair, 3 * pair + 1, 3 * pair + 2];
        let role = |setter: &mut Client<'_>, role: &str| {
            let (path, body) = (format!("/user/{enemy}"), json!({ "role": role }).to_string());
            let changed = setter.change((old, role == "engineer"), ("PUT", &path), &key, &body);
            changed.expect("healthy nodes answer");
        };
        role(&mut setter, "engineer");
        for gate in 0..gates.len() {
            setter.until_let_in(old, &secrets[0], ORDERS, gate);
            before += 1;
        }
        role(&mut setter, "billing");
        let body = json!({ "name": format!("secret {pair}") }).to_string();
        let made = setter.change((new_friend, true), ("POST", "/service"), &key, &body);
        let path = format!("/projects/{}", made.expect("healthy nodes answer").text("id"));
        thread::scope(|scope| {
            for (nth, subject) in [new_enemy, new_friend].into_iter().cycle().take(8).enumerate() {
                let (mut client, path) = (Client::new(nth, &book, &estate, &gates), &path);
                let secret = &secrets[nth % 2];
                scope.spawn(move || {
                    for _ in 0..3 {
                        client.uses(subject, secret, path, nth / 2);
                    }
                });
            }
        });
        for gate in 0..gates.len() {
            setter.until_let_in(new_friend, &secrets[1], &path, gate);
            shown += 1;
        }
    }
    drop(processes);
    let (writes, uses) = book.into_parts();
    let enemies: Vec<&Use> = uses.iter().filter(|usage| usage.subject % 3 == 0).collect();
    eprintln!("{pairs} pairs: {} uses by those who lost the right", enemies.len());
    assert_eq!((before, shown, enemies.len()), (4 * pairs, 4 * pairs, 12 * pairs), "nothing was tried");
    assert_right(&writes, &uses, BOUND);
}
