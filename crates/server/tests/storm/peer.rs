//! A process of Keygate's that is started, stopped in its tracks, and killed.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::clock::wait_for;

const START_MAX: Duration = Duration::from_secs(30);

/// A running node or gate. Dropped, it is killed.
pub(crate) struct Peer {
    child: Child,
    /// What it has logged.
    pub(crate) log: Arc<Mutex<String>>,
}

impl Peer {
    /// Starts it, and waits until it serves.
    pub(crate) fn start(mut command: Command) -> Self {
        let pipes = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (pipe, lines) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut log = lines.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut peer = Self { child, log };
        wait_for("a process to serve", START_MAX, || {
            let ended = peer.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", peer.log.lock().unwrap());
            peer.has_said("Keygate serves").then_some(())
        });
        peer
    }

    /// Whether a line of its log has this message.
    pub(crate) fn has_said(&self, message: &str) -> bool {
        let log = self.log.lock().unwrap();
        let messages = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        messages.into_iter().any(|line| line["fields"]["message"] == message)
    }

    /// Sends a signal: `STOP` and `CONT`, say.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Stops it in its tracks. The signal is sent before the last of its threads has stopped: one may still answer.
    pub(crate) fn stand_still(&self) {
        self.signal("STOP");
        wait_for("all threads to stand still", START_MAX, || {
            let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
            let stands = |thread: std::fs::DirEntry| {
                let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
            };
            threads.flatten().all(stands).then_some(())
        });
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a signal to a process of ours.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(sent.success(), "kill -{name} {pid}");
}

/// An address that is free, and stays so over a restart: the system gives none of these away by itself.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 997).unwrap() * 10;
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
