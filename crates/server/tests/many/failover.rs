//! The database's machine is lost under load, its standby takes over, and nothing that was acknowledged is gone (P1, P7).

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use keygate_server::edge::Stopwatch;
use serde_json::{Value, json};

use crate::process::{Home, Server, now};

const LOGIN: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery staple";
const WRITERS: usize = 4;

/// How long the house may be without a database that it can write to.
const OUTAGE_MAX: Duration = Duration::from_secs(40);

/// Three machines with a database each, stopped and removed when dropped.
struct Machines(PathBuf);

impl Machines {
    fn new() -> Self {
        let folder = PathBuf::from(format!("/tmp/keygate-failover-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a folder");
        Self(folder)
    }

    fn of(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn run(&self, verb: &str, name: &str, further: &[&str]) {
        let done = script().arg(verb).arg(self.of(name)).args(further).output().expect("the script");
        assert!(done.status.success(), "{verb} {name}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Acknowledges nothing from now on that only this machine has.
    fn wants_a_standby(&self, name: &str) {
        self.run("sql", name, &["ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'"]);
        self.run("sql", name, &["SELECT pg_reload_conf()"]);
    }

    /// Where the database is, whichever of these machines can be written to.
    fn address(&self, user: &str, names: &[&str]) -> String {
        let hosts = names.iter().map(|name| self.of(name).display().to_string().replace('/', "%2F"));
        format!("postgres://{user}@{}/keygate", hosts.collect::<Vec<_>>().join(","))
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in ["a", "b", "c"] {
            // The one that was lost is not there to be stopped.
            drop(script().arg("stop").arg(self.of(name)).output());
        }
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgres/server"))
}

/// What one writer was told.
#[derive(Default)]
struct Told {
    /// The secrets of tokens that were made and not revoked.
    living: Vec<String>,
    /// Those of tokens whose revoke was acknowledged.
    revoked: Vec<String>,
    /// How many answers said that nothing, or nobody knows what, was done.
    refused: usize,
}

/// Makes tokens and revokes every other one, until it is told to stop.
fn write(address: std::net::SocketAddr, stop: &AtomicBool, revoked: &AtomicUsize) -> Told {
    let mut told = Told::default();
    while !stop.load(Ordering::Relaxed) {
        let body = json!({ "username": LOGIN, "password": PASSWORD, "name": "t", "scope": "purge_select" });
        let headers = [("Content-Type", "application/json")];
        let made = crate::process::send(address, "POST", "/tokens", &headers, &body.to_string());
        let Some(made) = made.filter(|answer| answer.status == 200) else {
            told.refused += 1;
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let made: Value = serde_json::from_str(&made.body).expect("JSON");
        let secret = made["access_token"].as_str().expect("a secret").to_owned();
        let gone = crate::process::send(address, "DELETE", "/tokens/self", &[("Fastly-Key", &secret)], "");
        match gone.map(|answer| answer.status) {
            Some(204) => {
                told.revoked.push(secret);
                revoked.fetch_add(1, Ordering::Relaxed);
            }
            // It may be revoked or not: nobody was told.
            _ => told.refused += 1,
        }
        if told.living.len() < 20 {
            let made = crate::process::send(address, "POST", "/tokens", &headers, &body.to_string());
            if let Some(made) = made.filter(|answer| answer.status == 200) {
                let made: Value = serde_json::from_str(&made.body).expect("JSON");
                told.living.push(made["access_token"].as_str().expect("a secret").to_owned());
            }
        }
    }
    told
}

/// Waits until so many revokes are acknowledged.
fn until(revoked: &AtomicUsize, count: usize) {
    let watch = Stopwatch::start();
    while revoked.load(Ordering::Relaxed) < count {
        assert!(watch.elapsed() < OUTAGE_MAX, "the writers do not get on");
        thread::sleep(Duration::from_millis(50));
    }
}

fn status(node: &Server, secret: &str) -> u16 {
    node.send("GET", "/tokens/self", &[("Fastly-Key", secret)], "").status
}

fn is_ready(node: &Server) -> bool {
    node.send("GET", "/readyz", &[], "").status == 200
}

/// A primary with a synchronous standby, and a home on both with a person in it.
fn primary_and_standby() -> (Machines, Home, String) {
    let machines = Machines::new();
    machines.run("start", "a", &[]);
    machines.run("sql", "a", &["CREATE ROLE keygate LOGIN"]);
    machines.run("sql", "a", &["CREATE DATABASE keygate"]);
    let (home, db) = (Home::new(), machines.address("keygate", &["a", "b"]));
    let there = on(&db);
    let owner = machines.address("postgres", &["a"]);
    home.run(&["migrate", "--db", &owner, "--serve-role", "keygate"], "");
    machines.run("standby", "b", &[&machines.of("a").display().to_string()]);
    machines.wants_a_standby("a");
    person(&home, &there);
    (machines, home, db)
}

/// Makes the person whose tokens are made and revoked, and lets them make as many as they like.
pub(crate) fn person(home: &Home, there: &[&str]) {
    let made = home.run(&[&["customer", "create", "--name", "Ada's"][..], there].concat(), "");
    let whose = [
        "user",
        "create",
        "--customer",
        made["id"].as_str().expect("an id"),
        "--login",
        LOGIN,
        "--name",
        "Ada",
    ];
    home.run(&[&whose[..], &["--role", "superuser", "--password-stdin"], there].concat(), PASSWORD);
    std::fs::write(
        home.path().join("keygate.toml"),
        "[login]\nfailures_burst = 100000\n[quota]\nper_person = 1000000\n",
    )
    .expect("settings");
}

/// The arguments that name the database.
pub(crate) fn on(db: &str) -> [&str; 4] {
    ["--db", db, "--key-file", "keygate.key"]
}

#[test]
fn a_lost_primary_loses_nothing_that_was_acknowledged() {
    let (machines, home, db) = primary_and_standby();
    let there = on(&db);
    let nodes = [home.serve_with(&there), home.serve_with(&there)];
    let figures = lost_under_load(&nodes, || {
        machines.run("crash", "a", &[]);
        machines.run("promote", "b", &[]);
        machines.run("standby", "c", &[&machines.of("b").display().to_string()]);
        machines.wants_a_standby("b");
    });
    eprintln!("{figures}");
    let verified = home.run(&[&["audit", "verify"][..], &there].concat(), "");
    assert_eq!(verified["ok"], true, "{verified}");
}

/// Writes at both nodes while the primary is lost and another found, and looks for all that was acknowledged.
/// Tells the figures.
pub(crate) fn lost_under_load(nodes: &[Server; 2], lose: impl FnOnce()) -> String {
    let (stop, revoked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|nth| {
            let (address, stop, revoked) = (nodes[nth % 2].address, Arc::clone(&stop), Arc::clone(&revoked));
            thread::spawn(move || write(address, &stop, &revoked))
        })
        .collect();
    until(&revoked, 20);
    let watch = Stopwatch::start();
    lose();
    while !nodes.iter().all(is_ready) {
        assert!(watch.elapsed() < OUTAGE_MAX, "the nodes do not find the new primary");
        thread::sleep(Duration::from_millis(200));
    }
    let outage = watch.elapsed();
    until(&revoked, revoked.load(Ordering::Relaxed) + 10);
    stop.store(true, Ordering::Relaxed);
    let told: Vec<Told> = writers.into_iter().map(|writer| writer.join().expect("a writer")).collect();
    let (living, revoked): (usize, usize) =
        (told.iter().map(|told| told.living.len()).sum(), told.iter().map(|told| told.revoked.len()).sum());
    let refused: usize = told.iter().map(|told| told.refused).sum();
    let figures = format!(
        "{living} living, {revoked} revoked, {refused} refused; without a primary for {outage:.1?} at {:?}",
        now()
    );
    assert!(living > 0 && revoked > 20 && refused > 0, "{figures}: nothing was tried");
    for node in nodes {
        for told in &told {
            told.revoked.iter().for_each(|secret| assert_eq!(status(node, secret), 401, "a revoke was lost"));
            told.living.iter().for_each(|secret| assert_eq!(status(node, secret), 200, "a token was lost"));
        }
    }
    figures
}
