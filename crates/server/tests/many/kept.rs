//! What a gate keeps on disk, and what it makes of it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use keygate_server::edge::Stopwatch;
use serde_json::Value;

use crate::{
    house::{House, Token},
    process::Home,
};

const PATIENCE: Duration = Duration::from_secs(15);

/// A gate that can be stopped in peace.
struct Gate {
    child: Child,
    address: SocketAddr,
}

impl Gate {
    fn start(house: &House, token: &Token, more: &[&str]) -> Self {
        Self::at(&house.home, &house.url(), token, more)
    }

    fn at(home: &Home, url: &str, token: &Token, more: &[&str]) -> Self {
        fs::write(home.path().join("gate.token"), &token.secret).unwrap();
        fs::create_dir_all(home.path().join("state")).unwrap();
        let listen = ["--listen", "127.0.0.1:0", "--state", "state"];
        let args = ["gate", "--follow", url, "--token-file", "gate.token", "--lease", "2"];
        let mut command = home.command(&[&args[..], &listen, more].concat());
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let said = |line: String| serde_json::from_str::<Value>(&line).unwrap_or_default();
        let address = log.by_ref().map(said).find(|line| line["fields"]["message"] == "Keygate serves");
        let address = address.expect("it serves")["fields"]["address"].as_str().unwrap().parse().unwrap();
        std::thread::spawn(move || log.for_each(drop));
        Self { child, address }
    }

    /// Stops it as systemd does.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }

    fn get(&self, path: &str, token: &Token) -> (u16, String) {
        let url = format!("http://{}{path}", self.address);
        let asked =
            ureq::get(&url).header("Fastly-Key", &token.secret).config().http_status_as_error(false).build();
        let mut answer = asked.call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    fn verifies(&self, token: &Token) -> u16 {
        self.get("/verify", token).0
    }

    fn until(&self, token: &Token, status: u16) {
        let watch = Stopwatch::start();
        while self.verifies(token) != status {
            assert!(watch.elapsed() < PATIENCE, "not {status}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How often it was told everything anew, and how often it went on.
    fn told(&self, token: &Token) -> (u64, u64) {
        let page = self.get("/metrics", token).1;
        let number = |name: &str| {
            let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap().parse().unwrap()
        };
        (number("keygate_follow_snapshots_total"), number("keygate_follow_resumed_total"))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn state(house: &House, name: &str) -> PathBuf {
    house.home.path().join("state").join(name)
}

#[test]
fn a_restart_goes_on_from_the_disk_and_allows_nothing_by_it_alone() {
    let house = House::new();
    let (gate_token, kept) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    let revoked = house.token(&house.tenant, "shop:read");
    let gate = Gate::start(&house, &gate_token, &[]);
    gate.until(&revoked, 200);
    assert_eq!(gate.told(&kept), (1, 0));
    // The first heartbeat comes with the end of the snapshot, and says where to go on.
    std::thread::sleep(Duration::from_millis(200));
    gate.stop();
    for name in ["state", "epoch"] {
        assert_eq!(fs::metadata(state(&house, name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let text = fs::read(state(&house, "state")).unwrap();
    let secret = kept.secret.as_bytes();
    assert!(!text.windows(secret.len()).any(|window| window == secret));
    // What happens meanwhile is heard before anything is decided.
    house.revoke(&revoked);
    let gate = Gate::start(&house, &gate_token, &[]);
    let watch = Stopwatch::start();
    loop {
        let said = gate.verifies(&revoked);
        assert!([503, 401].contains(&said), "{said}: a revoked token has come back");
        if said == 401 {
            break;
        }
        assert!(watch.elapsed() < PATIENCE);
    }
    assert_eq!((gate.verifies(&kept), gate.told(&kept)), (200, (0, 1)));
    gate.stop();
    for change in ["flipped", "another token", "too old"] {
        let more: &[&str] = if change == "too old" { &["--state-max-age", "0"] } else { &[] };
        let path = state(&house, "state");
        let mut bytes = fs::read(&path).unwrap();
        if change == "flipped" {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
        let other = house.gate_token(&house.operator);
        let token = if change == "another token" { &other } else { &gate_token };
        let gate = Gate::start(&house, token, more);
        gate.until(&kept, 200);
        assert_eq!(gate.told(&kept), (1, 0), "{change}");
        gate.stop();
    }
}

#[test]
fn a_gate_that_finds_no_node_allows_nothing_by_what_it_has_kept() {
    let house = House::new();
    let (gate_token, kept) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    let gate = Gate::start(&house, &gate_token, &[]);
    gate.until(&kept, 200);
    gate.stop();
    let url = house.url();
    let House { node, home, .. } = house;
    drop(node);
    // Nobody is where the node was.
    let gate = Gate::at(&home, &url, &gate_token, &[]);
    stays_at_a_loss(&gate, &kept);
}

/// It cannot tell, for longer than a node would take to tell it.
fn stays_at_a_loss(gate: &Gate, token: &Token) {
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_secs(3) {
        assert_eq!(gate.verifies(token), 503);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// K12: a backup from before a revoke.
#[test]
fn a_node_that_was_set_back_is_not_followed() {
    let house = House::new();
    let (gate_token, revoked) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    let files = ["keygate.db", "keygate.db-wal"].map(|name| house.home.path().join(name));
    let backup = files.clone().map(|file| fs::read(file).ok());
    let gate = Gate::start(&house, &gate_token, &[]);
    gate.until(&revoked, 200);
    house.revoke(&revoked);
    gate.until(&revoked, 401);
    gate.stop();
    // Killed: what it has in its files is what there is.
    let House { node, home, .. } = house;
    drop(node);
    for (file, bytes) in files.iter().zip(&backup) {
        match bytes {
            Some(bytes) => fs::write(file, bytes).unwrap(),
            None => fs::remove_file(file).unwrap_or_default(),
        }
    }
    fs::remove_file(home.path().join("keygate.db-shm")).unwrap_or_default();
    let node = home.serve();
    let headers = [("Fastly-Key", revoked.secret.as_str())];
    let said = node.send("GET", "/tokens/self", &headers, "");
    assert_eq!(said.status, 200, "the node knows no better");
    let gate = Gate::at(&home, &format!("http://{}", node.address), &gate_token, &[]);
    stays_at_a_loss(&gate, &revoked);
    let page = gate.get("/metrics", &revoked).1;
    assert!(page.contains("keygate_follow_snapshots_total 0"), "{page}");
}
