//! What systemd hears of everything that serves: that it does, how it is, that it is to be left running, and that it ends.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{house::Running, process::Home};

/// How long a word may take, and what is asked of the watchdog.
const WORD_MAX: Duration = Duration::from_secs(30);
const WATCHDOG: Duration = Duration::from_secs(1);

/// In the place of systemd, with one service.
struct Manager {
    socket: UnixDatagram,
    service: Running,
}

impl Manager {
    fn start(home: &Home, args: &[&str]) -> Self {
        let path = home.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(WORD_MAX)).expect("a timeout");
        let mut command = home.command(args);
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { socket, service: Running(command.spawn().expect("it starts")) }
    }

    /// The next lines that it said.
    fn hear(&self) -> Vec<String> {
        let mut said = [0; 4096];
        let len = self.socket.recv(&mut said).expect("a word in time");
        String::from_utf8_lossy(&said[..len]).lines().map(str::to_owned).collect()
    }

    /// What is said from the start to the end of a service that is stopped after some time.
    fn whole_life(mut self, status: &str) {
        assert_eq!(self.hear(), ["READY=1"]);
        for _ in 0..3 {
            let said = self.hear();
            assert!(said[0].starts_with("STATUS=") && said[0].contains(status), "{said:?}");
            assert_eq!(said[1..], ["WATCHDOG=1"]);
            // From the second word on, none may come later than systemd waits.
            self.socket.set_read_timeout(Some(WATCHDOG)).expect("a timeout");
        }
        self.signal("STOP");
        while self.socket.recv(&mut [0; 4096]).is_ok() {}
        self.signal("CONT");
        self.socket.set_read_timeout(Some(WORD_MAX)).expect("a timeout");
        assert_eq!(self.hear()[1..], ["WATCHDOG=1"], "it goes on where it was");
        self.signal("TERM");
        while self.hear() != ["STOPPING=1"] {}
        assert!(self.service.0.wait().expect("its end").success());
    }

    fn signal(&self, name: &str) {
        let told = Command::new("kill").args(["-s", name, &self.service.0.id().to_string()]).status();
        assert!(told.expect("kill").success());
    }
}

#[test]
fn a_node_tells_systemd_how_it_is() {
    let home = Home::new();
    Manager::start(&home, &["serve", "--listen", "127.0.0.1:0"]).whole_life("position 0, 0 tokens, 0 gates");
}

#[test]
fn a_proxy_tells_systemd_how_it_is() {
    let home = Home::new();
    let args = ["proxy", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:9"];
    Manager::start(&home, &args).whole_life("position 0, 0 tokens");
}

/// It is ready though no node can be reached: what it answers meanwhile is 503, and a start anew would not change that.
#[test]
fn a_gate_tells_systemd_how_it_is() {
    let home = Home::new();
    fs::write(home.path().join("gate.token"), "kg_nothing").expect("a file");
    let follow = ["gate", "--follow", "http://127.0.0.1:9", "--token-file", "gate.token"];
    Manager::start(&home, &[&follow[..], &["--listen", "127.0.0.1:0"]].concat())
        .whole_life("follows no node, position 0");
}
