//! Disks that are full, and disks that fail (K10): nothing that was acknowledged is lost, nothing is half done, and who is let
//! in does not depend on it.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::json;

use crate::{
    clock::{moment, wait_for},
    house::{House, Place, Token, question},
    http::{Ask, Client},
    machine::Machines,
    peer::free_address,
    shim,
    traffic::Pair,
};

const LEASE_SECONDS: u64 = 30;

/// A disk of some megabytes, gone when dropped.
struct Disk(PathBuf);

impl Disk {
    /// None where this user may not mount one.
    fn new(at: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(at);
        if !mount.status().is_ok_and(|status| status.success()) {
            eprintln!("NOT RUN: a disk of {megabytes} MB cannot be mounted here; root can");
            return None;
        }
        Some(Self(at.to_owned()))
    }

    /// Takes whatever room is left.
    fn fill(&self) {
        let mut ballast = fs::File::create(self.0.join("ballast")).unwrap();
        // Big pieces first, and then what is left, byte by byte at last.
        for len in [1 << 20, 4096, 1] {
            let piece = vec![0_u8; len];
            while ballast.write_all(&piece).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
        drop(fs::remove_dir(&self.0));
        // The machines' folder, which could not be removed before.
        drop(self.0.parent().map(fs::remove_dir));
    }
}

/// Somebody who makes tokens at a node, and remembers what came of it.
struct Maker<'h> {
    house: &'h House,
    node: SocketAddr,
    sudo: Token,
    made: Vec<Token>,
    /// Names, with the code that each was refused with.
    refused: Vec<(String, String)>,
}

impl<'h> Maker<'h> {
    fn new(house: &'h House, node: SocketAddr) -> Self {
        Self { house, node, sudo: house.operators(node, "global"), made: Vec::new(), refused: Vec::new() }
    }

    /// Tries, and says whether it was done.
    fn make(&mut self) -> bool {
        let name = format!("token {}", self.made.len() + self.refused.len());
        let body = json!({ "name": name, "role": "engineer", "scope": "shop:read" });
        let ask = Ask::new("POST /automation-tokens").key(&self.sudo.secret).json(&body);
        let answer = Client::new(self.node).must(&ask);
        match answer.status {
            200 => self.made.push(Token { id: answer.text("id"), secret: answer.text("access_token") }),
            503 => self.refused.push((name, answer.code())),
            status => panic!("{status} {}", answer.json()),
        }
        answer.is_ok()
    }

    /// Makes tokens until there is no room, and then tries some more.
    fn until_full(&mut self) {
        for _ in 0..20_000 {
            if !self.make() {
                break;
            }
        }
        assert!(!self.refused.is_empty(), "there is always room");
        let before = self.refused.len();
        for _ in 0..10 {
            self.make();
        }
        assert!(self.refused.len() > before, "it was refused once, and then there was room");
    }

    /// Who is let in is as it was, at this place, and reads go on.
    fn decides(&self, way: SocketAddr, pair: &Pair) {
        let mut client = Client::new(way);
        let mut took: Vec<_> = (0..200)
            .map(|_| {
                let asked = moment();
                assert_eq!(client.must(&question(&pair.live.secret)).status, 200);
                asked.elapsed()
            })
            .collect();
        took.sort_unstable();
        let read = Client::new(self.node).must(&Ask::new("GET /tokens/self").key(&self.sudo.secret));
        assert_eq!(read.status, 200, "{}", read.json());
        let listed = Client::new(self.node).must(&Ask::new("GET /automation-tokens").key(&self.sudo.secret));
        assert_eq!(listed.status, 200, "{}", listed.json());
        eprintln!("200 questions meanwhile: median {:?}, the slowest {:?}", took[100], took[199]);
    }

    /// Changes are made again, everything acknowledged is there, nothing refused is, and the record is whole.
    fn recovers(&mut self, longest: Duration) {
        let began = moment();
        wait_for("changes again", longest, || self.make().then_some(()));
        let back = began.elapsed();
        let mut client = Client::new(self.node);
        for token in &self.made {
            assert_eq!(client.must(&question(&token.secret)).status, 200, "{} is lost", token.id);
        }
        let count = self.names().len();
        let certain = self.refused.iter().filter(|(_, code)| code != "outcome_unknown").count();
        let names = self.names();
        for (name, code) in &self.refused {
            assert!(
                code == "outcome_unknown" || !names.contains(name),
                "{name} was told {code}, and is there"
            );
        }
        let verified = self.house.run(&["audit", "verify"], "");
        assert_eq!(verified["ok"], true, "{verified}");
        let mut codes: Vec<_> = self.refused.iter().map(|(_, code)| code.as_str()).collect();
        codes.dedup();
        eprintln!(
            "{} acknowledged and there, of {count}; {certain} of {} certainly not made, {codes:?}; changes again after {back:.2?}",
            self.made.len(),
            self.refused.len(),
        );
    }

    /// The names of all tokens for machines.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for page in 1.. {
            let line = format!("GET /automation-tokens?per_page=100&page={page}");
            let answer = Client::new(self.node).must(&Ask::new(&line).key(&self.sudo.secret)).json();
            let found = answer["data"].as_array().unwrap_or_else(|| panic!("{answer}"));
            if found.is_empty() {
                break;
            }
            names.extend(found.iter().map(|token| token["name"].as_str().unwrap().to_owned()));
        }
        names
    }
}

fn serve(house: &House) -> (Place, SocketAddr) {
    let at = free_address();
    (house.node(at, &[]), at)
}

#[test]
fn a_full_disk_under_a_file_refuses_changes_and_nothing_else() {
    let folder = PathBuf::from(format!("/tmp/kg-full-{}", std::process::id()));
    let Some(disk) = Disk::new(&folder, 16) else { return };
    let house = House::in_the_file(&folder.join("keygate.db"), LEASE_SECONDS);
    let (node, at) = serve(&house);
    let mut maker = Maker::new(&house, at);
    let pair = Pair::new(at, &maker.sudo);
    (0..20).for_each(|_| assert!(maker.make()));
    disk.fill();
    maker.until_full();
    assert!(maker.refused.iter().all(|(_, code)| code == "storage_unavailable"), "{:?}", maker.refused);
    maker.decides(node.way, &pair);
    // Room is kept for that, and for nothing else.
    let at_node = |token: &Token| Client::new(node.way).must(&question(&token.secret)).status;
    let (_, revoked) = pair.revoke(at, &maker.sudo, "enforced");
    assert_eq!((revoked, at_node(&pair.doomed), at_node(&pair.live)), (200, 401, 200));
    assert!(!maker.make(), "something else was made in the room that is kept for revokes");
    // What is in the file now is what there is, also of what was told not to be done.
    drop(node);
    disk.free();
    let node = house.node(at, &[]);
    maker.recovers(Duration::from_secs(10));
    assert_eq!(Client::new(node.way).must(&question(&pair.doomed.secret)).status, 401);
}

#[test]
fn a_full_disk_under_postgres_refuses_changes_and_nothing_else() {
    /// In the order in which they end.
    struct Place {
        machines: Machines,
        disk: Disk,
    }
    let machines = Machines::new();
    let Some(disk) = Disk::new(&machines.of("a"), 120) else { return };
    let Place { machines, disk } = &Place { machines, disk };
    machines.begin("a", &["-c", "max_wal_size=32MB", "-c", "min_wal_size=32MB"]);
    let house = House::on_postgres(machines, "a", LEASE_SECONDS);
    let (node, at) = serve(&house);
    let mut maker = Maker::new(&house, at);
    let pair = Pair::new(at, &maker.sudo);
    disk.fill();
    maker.until_full();
    maker.decides(node.way, &pair);
    disk.free();
    let log = fs::read_to_string(machines.of("a").join("log")).unwrap();
    let panics = log.lines().filter(|line| line.contains("PANIC")).count();
    eprintln!("PostgreSQL panicked {panics} times");
    maker.recovers(Duration::from_secs(30));
    pair.revoke(at, &maker.sudo, "enforced");
}

/// What a gate keeps over a restart is for its own comfort.
#[test]
fn a_gate_whose_disk_is_full_goes_on_and_says_so() {
    let house = House::in_a_file(LEASE_SECONDS);
    let (_node, at) = serve(&house);
    let sudo = house.operators(at, "global");
    let token = house.gate_token(at);
    let Some(disk) = Disk::new(&house.home.path().join("gate"), 1) else { return };
    let gate = house.gate("gate", at, &token, LEASE_SECONDS);
    disk.fill();
    let pair = Pair::new(at, &sudo);
    let status = |token: &Token| Client::new(gate.way).must(&question(&token.secret)).status;
    let until = |token, wanted| {
        wait_for("the gate to know", Duration::from_secs(10), || (status(token) == wanted).then_some(()));
    };
    until(&pair.doomed, 200);
    pair.revoke(at, &sudo, "enforced");
    assert_eq!((status(&pair.doomed), status(&pair.live)), (401, 200));
    wait_for("a word in its log", Duration::from_secs(10), || {
        gate.peer.has_said("what is known could not be kept").then_some(())
    });
    drop(disk);
}

/// A sync that fails says nothing of what is on the disk, and neither does the node.
#[test]
fn a_disk_that_fails_is_told_as_unknown_and_a_restart_finds_all_that_was_acknowledged() {
    let house = House::in_a_file(LEASE_SECONDS);
    let (shim, bad) = (shim::build("failsync", house.home.path()), house.home.path().join("bad"));
    let at = free_address();
    let env = [("LD_PRELOAD", shim.to_str().unwrap()), ("KEYGATE_FAIL_SYNC", bad.to_str().unwrap())];
    let node = house.node(at, &env);
    let mut maker = Maker::new(&house, at);
    let pair = Pair::new(at, &maker.sudo);
    (0..20).for_each(|_| assert!(maker.make()));
    fs::write(&bad, "").unwrap();
    (0..20).for_each(|_| assert!(!maker.make(), "acknowledged without a sync"));
    assert!(maker.refused.iter().any(|(_, code)| code == "outcome_unknown"), "{:?}", maker.refused);
    maker.decides(node.way, &pair);
    drop(node);
    fs::remove_file(&bad).unwrap();
    let _node = house.node(at, &env);
    maker.recovers(Duration::from_secs(10));
}
