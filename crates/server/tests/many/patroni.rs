//! The same loss where Patroni decides who is the primary, with the settings of `docs/patroni.md`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use keygate_server::edge::Stopwatch;
use serde_json::Value;

use crate::{
    failover::{lost_under_load, on, person},
    process::{self, Home},
};

/// How long three machines may take to become a cluster.
const START_MAX: Duration = Duration::from_secs(60);

/// Three machines with addresses of their own on this one. Killed and removed when dropped.
struct Cluster {
    folder: PathBuf,
    addresses: [Ipv4Addr; 3],
}

impl Cluster {
    fn start() -> Self {
        let pid = std::process::id();
        let [_, high, middle, low] = (pid << 2).to_be_bytes();
        let addresses = [1, 2, 3].map(|nth| Ipv4Addr::new(127, high, middle, low | nth));
        let folder = PathBuf::from(format!("/tmp/keygate-patroni-{pid}"));
        std::fs::create_dir(&folder).expect("a folder");
        let cluster = Self { folder, addresses };
        for own in addresses {
            let others = addresses.iter().filter(|other| **other != own);
            let who: Vec<_> = std::iter::once(&own).chain(others).map(Ipv4Addr::to_string).collect();
            cluster.run("start", own, &who);
        }
        cluster
    }

    fn run(&self, verb: &str, machine: Ipv4Addr, further: &[String]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgres/patroni");
        let folder = self.folder.join(machine.to_string());
        let done = Command::new(script).arg(verb).arg(folder).args(further).output().expect("the script");
        assert!(done.status.success(), "{verb} {machine}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Who is the primary, and how many others have everything that it acknowledges, as one of them sees it.
    fn roles(&self, asked: Ipv4Addr) -> Option<(Ipv4Addr, usize)> {
        let answer = process::send(SocketAddr::from((asked, 8008)), "GET", "/cluster", &[], "")?;
        let seen = answer.any_json();
        let members = seen["members"].as_array()?;
        let is = |member: &&Value, role: &str| member["role"] == role && member["state"] == "running";
        let leader = members.iter().find(|member| is(member, "leader"))?["host"].as_str()?.parse().ok()?;
        Some((leader, members.iter().filter(|member| is(member, "sync_standby")).count()))
    }

    /// The primary, once there is one with a synchronous standby.
    fn primary(&self, asked: Ipv4Addr) -> Ipv4Addr {
        let watch = Stopwatch::start();
        loop {
            if let Some((leader, 1..)) = self.roles(asked) {
                return leader;
            }
            assert!(watch.elapsed() < START_MAX, "no primary with a standby in {}", self.folder.display());
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Where the database is, whichever of these machines can be written to.
    fn address(&self, user: &str) -> String {
        format!("postgres://{user}@{}/keygate", self.addresses.map(|address| address.to_string()).join(","))
    }

    fn sql(&self, primary: Ipv4Addr, statement: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgres/server");
        let folder = self.folder.join(primary.to_string());
        let done = Command::new(script).arg("sql").arg(folder).arg(statement).output().expect("the script");
        assert!(done.status.success(), "{statement}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.addresses.iter().for_each(|machine| self.run("stop", *machine, &[]));
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[test]
fn a_lost_primary_under_patroni_loses_nothing_that_was_acknowledged() {
    let (cluster, home) = (Cluster::start(), Home::new());
    let first = cluster.primary(cluster.addresses[0]);
    cluster.sql(first, "CREATE ROLE keygate LOGIN");
    cluster.sql(first, "CREATE DATABASE keygate");
    home.run(&["migrate", "--db", &cluster.address("postgres"), "--serve-role", "keygate"], "");
    let db = cluster.address("keygate");
    let there = on(&db);
    person(&home, &there);
    let nodes = [home.serve_with(&there), home.serve_with(&there)];
    let mut second = first;
    let figures = lost_under_load(&nodes, || {
        cluster.run("crash", first, &[]);
        let left = cluster.addresses.into_iter().find(|address| *address != first).expect("two");
        while second == first {
            thread::sleep(Duration::from_millis(200));
            second = cluster.primary(left);
        }
    });
    eprintln!("{figures}");
    assert_ne!(second, first);
    let verified = home.run(&[&["audit", "verify"][..], &there].concat(), "");
    assert_eq!(verified["ok"], true, "{verified}");
}
