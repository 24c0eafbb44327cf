//! A closed-loop HTTP/1.1 load generator that costs less than the server it loads.
//!
//! A rate is only the server's own if the generator has time to spare, so every run reports what the generator
//! took of its core beside what the server took of its own. One thread, one request in flight on each connection,
//! two system calls a request, nothing allocated between start and end.

mod answer;
mod connection;
pub(crate) mod cpu;
mod histogram;
mod outcome;
mod requests;
mod run;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use outcome::Outcome;
pub use requests::Requests;

/// One run to be made: whom to load, with what, for how long.
#[derive(Debug)]
pub struct Load {
    /// The server. Only a loopback address is accepted: this is a bench, and must not become a weapon.
    pub target: SocketAddr,
    /// Connections kept open, each with one request in flight. More of them mean fewer polls a request.
    pub connections: usize,
    /// Time under full load before anything is counted.
    pub warmup: Duration,
    /// Length of the window that is counted.
    pub duration: Duration,
    /// Requests sent in all, the warm-up's included. A run that reaches it waits for the last answer and ends early.
    pub requests_max: u64,
    /// Where the order of the requests starts. The same seed draws the same order.
    pub seed: u64,
    /// What is sent.
    pub requests: Requests,
    /// Statuses that are right. Any other is counted in [`Outcome::unexpected`] too.
    pub expected: Vec<u16>,
}

impl Load {
    /// A run with the usual figures: 64 connections, one second of warm-up, a window of five, 200 expected.
    pub fn new(target: SocketAddr, requests: Requests) -> Self {
        Self {
            target,
            connections: 64,
            warmup: Duration::from_secs(1),
            duration: Duration::from_secs(5),
            requests_max: u64::MAX,
            seed: 1,
            requests,
            expected: vec![200],
        }
    }

    /// Loads the server and says what came back; with `server_pid`, also what it cost that process.
    ///
    /// The caller decides which core this runs on (`taskset`). A server that no longer accepts connections ends the
    /// run with an error; one that closes them is connected to again, and each time is counted.
    pub fn run(&self, server_pid: Option<u32>) -> io::Result<Outcome> {
        self.check()?;
        run::Run::open(self, server_pid)?.finish()
    }

    fn check(&self) -> io::Result<()> {
        let wrong = if !self.target.ip().is_loopback() {
            format!("{} is not a loopback address: this generator loads its own machine only", self.target)
        } else if self.connections == 0 || self.connections > CONNECTIONS_MAX {
            format!("{} connections: from 1 to {CONNECTIONS_MAX} are possible", self.connections)
        } else if self.duration.is_zero() || self.warmup + self.duration > RUN_MAX {
            format!("a run lasts from 1 ns to {} s, its warm-up included", RUN_MAX.as_secs())
        } else {
            return self.requests.check();
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, wrong))
    }
}

/// The one clock of the generator.
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn now() -> Instant {
    Instant::now()
}

const CONNECTIONS_MAX: usize = 10_000;
const RUN_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
