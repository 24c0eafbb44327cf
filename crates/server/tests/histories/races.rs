//! K25: races between two nodes on one PostgreSQL. What is good for once is good for once whichever node is asked, and
//! nothing is made by whom a revoke or a lock came before.

use std::{
    collections::BTreeMap,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use keygate_authority::factor;
use keygate_server::edge::Stopwatch;
use serde_json::{Value, json};

use crate::{
    estate::{Estate, PASSWORD},
    line::{Line, Reply},
    process::now,
    share,
};

const RACERS: usize = 64;
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The same request by many at once, every other one to the other node.
fn race(estate: &Estate, (method, path): (&str, &str), headers: &[(&str, &str)], body: &Value) -> Vec<Reply> {
    let (barrier, body) = (Barrier::new(RACERS), body.to_string());
    let headers = [headers, &[JSON]].concat();
    thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|nth| {
                let (barrier, headers, body) = (&barrier, &headers, &body);
                let mut line = Line::to(estate.api(nth % 2));
                scope.spawn(move || {
                    assert_eq!(line.ask("GET", "/livez", &[], "").unwrap().status, 200);
                    barrier.wait();
                    line.ask(method, path, headers, body).unwrap()
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    })
}

/// One got through; the others were told why not, by one of these words.
fn assert_one(what: &str, replies: &[Reply], refusals: &[&str]) {
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    for reply in replies {
        let code = reply.json()["code"].as_str().unwrap_or_default().to_owned();
        *said.entry(format!("{} {code}", reply.status)).or_default() += 1;
    }
    eprintln!("{what}: {said:?}");
    let done = replies.iter().filter(|reply| (200..300).contains(&reply.status)).count();
    assert_eq!(done, 1, "{what}: {said:?}");
    let named = |reply: &&Reply| refusals.contains(&reply.json()["code"].as_str().unwrap_or_default());
    assert_eq!(replies.iter().filter(named).count(), RACERS - 1, "{what}: {said:?}");
}

#[test]
fn races_between_nodes_for_what_is_good_once() {
    let estate = Estate::new(5);
    for round in 0..share(20, 1) {
        let login = |what: &str| format!("{what}{round}@example.com");
        for what in ["step", "recovery", "reset"] {
            estate.person(&estate.customer, &login(what), "engineer");
        }
        let order = |login: &str| json!({ "username": login, "password": PASSWORD, "scope": "global:read" });
        let reused = ["otp_already_used", "factor_locked", "login_failed"];

        let shown = estate.run(&["user", "totp", "--login", &login("step")], "");
        let seed = data_encoding::BASE32_NOPAD.decode(shown["secret"].as_str().unwrap().as_bytes()).unwrap();
        let code = factor::code_at(&seed, now());
        let step = race(&estate, ("POST", "/tokens"), &[("Fastly-OTP", &code)], &order(&login("step")));
        assert_one("a TOTP step", &step, &reused);

        let shown = estate.run(&["user", "totp", "--login", &login("recovery")], "");
        let code = shown["recovery_codes"][3].as_str().unwrap();
        let recovery =
            race(&estate, ("POST", "/tokens"), &[("Fastly-OTP", code)], &order(&login("recovery")));
        assert_one("a recovery code", &recovery, &reused);

        let shown = estate.run(&["user", "reset", "--login", &login("reset")], "");
        let new = json!({ "code": shown["code"], "password": "another correct horse" });
        let reset = race(&estate, ("POST", "/password/reset"), &[], &new);
        assert_one("a password reset link", &reset, &["link_invalid"]);

        let admin = [("Fastly-Key", estate.admin.as_str())];
        let invited = login("invited");
        let attributes = json!({ "email": invited, "role": "user" });
        let invitation = json!({ "data": { "type": "invitation", "attributes": attributes } });
        estate.post("/invitations", admin[0].1, &invitation).done();
        let path = format!("/invitation/accept/{}", estate.letter(&invited));
        let accepted = race(&estate, ("PUT", &path), &[], &json!({ "name": "I", "password": PASSWORD }));
        assert_one("an invitation", &accepted, &["link_invalid"]);

        let key = format!("key {round}");
        let order = json!({ "name": key, "role": "user", "scope": "global:read" });
        let headers = [admin[0], ("Idempotency-Key", &key)];
        let made = race(&estate, ("POST", "/automation-tokens"), &headers, &order);
        assert_one("an idempotency key", &made, &["idempotency_replayed"]);
        let id = made.iter().find(|reply| reply.status < 300).unwrap().text("id");
        for reply in made.iter().filter(|reply| reply.status == 409) {
            assert!(reply.body.contains(&id), "{}", reply.body);
        }
    }
}

/// Where a token is made, by whom, and which.
type Mint<'m> = (&'m str, &'m [(&'m str, &'m str)], &'m Value);

/// What came of mints that were called at the same time as what ends the right to them.
#[derive(Default)]
struct Mints {
    made: AtomicUsize,
    refused: AtomicUsize,
}

impl Mints {
    /// Some mints at both nodes, and the end of it at one of them some moment later.
    fn meet(
        &self,
        estate: &Estate,
        delay: Duration,
        mints: &[Mint<'_>],
        (method, path, body): (&str, &str, &Value),
    ) -> Vec<Reply> {
        let barrier = Barrier::new(mints.len() + 1);
        let admin = [("Fastly-Key", estate.admin.as_str()), JSON];
        let mut made = Vec::new();
        let ended = thread::scope(|scope| {
            let minting: Vec<_> = mints
                .iter()
                .enumerate()
                .map(|(nth, (path, headers, body))| {
                    let (barrier, headers) = (&barrier, [*headers, &[JSON]].concat());
                    let mut line = Line::to(estate.api(nth % 2));
                    scope.spawn(move || {
                        barrier.wait();
                        line.ask("POST", path, &headers, &body.to_string()).unwrap()
                    })
                })
                .collect();
            let mut line = Line::to(estate.api(delay.subsec_micros() as usize % 2));
            barrier.wait();
            thread::sleep(delay);
            let ended = line.ask(method, path, &admin, &body.to_string()).unwrap();
            made.extend(minting.into_iter().map(|mint| mint.join().unwrap()));
            ended
        });
        assert!((200..300).contains(&ended.status), "{ended:?}");
        let end = ended.position.expect("a position");
        let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(|reply| reply.status < 300);
        for reply in &made {
            let at = reply.position.expect("a position");
            assert!(at < end, "made at {at}, after the end at {end}");
        }
        // 404: whoever asked is gone by the time that the record is read.
        assert!(refused.iter().all(|reply| (400..=404).contains(&reply.status)), "{refused:?}");
        self.made.fetch_add(made.len(), Ordering::Relaxed);
        self.refused.fetch_add(refused.len(), Ordering::Relaxed);
        made
    }

    /// Both ways it went, so they did meet.
    fn assert_met(&self, what: &str) {
        let (made, refused) = (self.made.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed));
        eprintln!("{what}: {made} tokens made before, {refused} refused after");
        assert!(made > 20 && refused > 20, "{what}: {made} made, {refused} refused: they never met");
    }
}

/// Waits until both nodes let a token in.
fn until_known(estate: &Estate, token: &str) {
    let watch = Stopwatch::start();
    for node in 0..2 {
        let mut line = Line::to(estate.api(node));
        while line.ask("GET", "/tokens/self", &[("Fastly-Key", token)], "").unwrap().status != 200 {
            assert!(watch.elapsed() < Duration::from_secs(20), "node {node} does not know it");
        }
    }
}

/// Runs this so many times, several at once: by whom, which of all it is, and which of theirs.
fn several(times: usize, run: impl Fn(usize, usize, usize) + Sync) {
    const WORKERS: usize = 6;
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (next, run) = (&next, &run);
            scope.spawn(move || {
                for own in 0.. {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= times {
                        return;
                    }
                    run(worker, nth, own);
                }
            });
        }
    });
}

#[test]
fn races_between_nodes_of_mints_and_revokes() {
    let estate = Estate::new(5);
    let (mints, children) = (Mints::default(), Mutex::new(Vec::new()));
    let parent = json!({ "name": "parent", "role": "engineer", "scope": "automation_token:mint shop:read" });
    let child = json!({ "name": "child", "role": "engineer", "scope": "shop:read" });
    several(share(6_000, 300), |_, nth, _| {
        let made = estate.post("/automation-tokens", &estate.factory, &parent);
        let (secret, path) = (made.text("access_token"), format!("/tokens/{}", made.text("id")));
        until_known(&estate, &secret);
        let (headers, delay) =
            ([("Fastly-Key", secret.as_str())], Duration::from_micros(nth as u64 % 40 * 500));
        let mint: Mint<'_> = ("/automation-tokens", &headers, &child);
        let made = mints.meet(&estate, delay, &[mint; 4], ("DELETE", &path, &Value::Null));
        let ids = made.iter().map(|made| made.text("id"));
        // They live on by themselves, which is a documented choice; here are ten thousand at most.
        let ids: Vec<_> = ids.map(|id| json!({ "type": "token", "id": id })).collect();
        children.lock().unwrap().extend(made.first().map(|made| made.text("access_token")));
        if nth >= 100 && !ids.is_empty() {
            let (admin, body) = ([("Fastly-Key", estate.admin.as_str())], json!({ "data": ids }).to_string());
            Line::to(estate.api(0)).ask("DELETE", "/tokens", &admin, &body).unwrap();
        }
    });
    mints.assert_met("revokes");
}

#[test]
fn races_between_nodes_of_mints_and_locks() {
    let estate = Estate::new(5);
    let mints = Mints::default();
    let people: Vec<_> = (0..6)
        .map(|nth| {
            let login = format!("maker{nth}@example.com");
            let id = estate.person(&estate.customer, &login, "superuser");
            (id, estate.login(&login, "global"), login)
        })
        .collect();
    let child = json!({ "name": "child", "role": "engineer", "scope": "global:read" });
    several(share(4_000, 200), |worker, nth, own| {
        let (id, secret, login) = &people[worker];
        let (path, admin) = (format!("/user/{id}"), [("Fastly-Key", estate.admin.as_str()), JSON]);
        let password = json!({ "username": login, "password": PASSWORD, "scope": "global:read" });
        if own.is_multiple_of(20) {
            estate.post("/sudo", secret, &password).done();
        }
        until_known(&estate, secret);
        let (headers, delay) =
            ([("Fastly-Key", secret.as_str())], Duration::from_micros(nth as u64 % 40 * 500));
        let mint: Mint<'_> = ("/automation-tokens", &headers, &child);
        let log_in: Mint<'_> = ("/tokens", &[], &password);
        // A password takes its time to be checked.
        let all = [log_in, mint, mint];
        let made = mints.meet(
            &estate,
            delay,
            if own.is_multiple_of(4) { &all[..] } else { &all[1..] },
            ("PUT", &path, &json!({ "locked": true })),
        );
        let ids =
            made.iter().map(|made| json!({ "type": "token", "id": made.text("id") })).collect::<Vec<_>>();
        let mut line = Line::to(estate.api(0));
        line.ask("PUT", &path, &admin, &json!({ "locked": false }).to_string()).unwrap().done();
        if !ids.is_empty() {
            line.ask("DELETE", "/tokens", &admin, &json!({ "data": ids }).to_string()).unwrap().done();
        }
    });
    mints.assert_met("locks");
}
