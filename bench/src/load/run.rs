//! The event loop: every ready connection is read and, straight after, sent its next request.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::connection::{Connection, Heard};
use super::histogram::Histogram;
use super::outcome::Outcome;
use super::requests::Chance;
use super::{Load, cpu, now};

/// A run under way.
pub(super) struct Run<'a> {
    load: &'a Load,
    server_pid: Option<u32>,
    poll: Poll,
    connections: Vec<Connection>,
    chance: Chance,
    scratch: Vec<u8>,
    sent: u64,
    in_flight: usize,
    statuses: Vec<u64>,
    latencies: Histogram,
    found: Outcome,
}

impl<'a> Run<'a> {
    pub(super) fn open(load: &'a Load, server_pid: Option<u32>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let connections = (0..load.connections)
            .map(|n| Connection::open(load.target, poll.registry(), Token(n)))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            load,
            server_pid,
            poll,
            connections,
            chance: Chance::new(load.seed),
            scratch: Vec::new(),
            sent: 0,
            in_flight: 0,
            statuses: vec![0; 1000],
            latencies: Histogram::new(),
            found: Outcome::default(),
        })
    }

    pub(super) fn finish(mut self) -> io::Result<Outcome> {
        let start = now();
        (0..self.connections.len()).for_each(|n| self.send(n, start));
        self.serve_until(start + self.load.warmup)?;
        self.forget();
        let before = self.mark()?;
        if self.in_flight == 0 {
            return Err(io::Error::other("requests_max was reached before the warm-up ended"));
        }
        self.serve_until(before.at + self.load.duration)?;
        let after = self.mark()?;
        Ok(self.outcome(&before, &after))
    }

    /// Serves until the time has come or nothing is left to wait for.
    fn serve_until(&mut self, end: Instant) -> io::Result<()> {
        let mut events = Events::with_capacity(self.connections.len());
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let left = end.saturating_duration_since(now());
            if left.is_zero() || self.in_flight == 0 {
                return Ok(());
            }
            match self.poll.poll(&mut events, Some(left)) {
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                self.hear(event.token().0, event.is_read_closed(), &mut buffer)?;
            }
        }
    }

    fn hear(&mut self, n: usize, closing: bool, buffer: &mut [u8]) -> io::Result<()> {
        match self.connections[n].hear(buffer) {
            Heard::Nothing if !closing => return Ok(()),
            Heard::Nothing | Heard::Closed => {}
            Heard::Malformed(why) => {
                self.found.malformed += 1;
                self.found.malformed_last = Some(why);
                self.settle(n);
            }
            Heard::Answer(answer) => {
                let at = now();
                self.statuses[usize::from(answer.status)] += 1;
                if let Some(sent) = self.settle(n) {
                    self.latencies.record(at - sent);
                }
                if !answer.closes && !closing {
                    self.send(n, at);
                    return Ok(());
                }
            }
        }
        self.reopen(n)
    }

    fn send(&mut self, n: usize, at: Instant) {
        if self.sent == self.load.requests_max {
            return;
        }
        let request = self.load.requests.draw(self.chance.next(), &mut self.scratch);
        self.connections[n].send(request, at);
        self.sent += 1;
        self.in_flight += 1;
    }

    fn settle(&mut self, n: usize) -> Option<Instant> {
        let sent = self.connections[n].settle();
        self.in_flight -= usize::from(sent.is_some());
        sent
    }

    fn reopen(&mut self, n: usize) -> io::Result<()> {
        self.found.lost += u64::from(self.settle(n).is_some());
        if self.sent == self.load.requests_max {
            return Ok(());
        }
        self.found.reconnects += 1;
        self.connections[n] = Connection::open(self.load.target, self.poll.registry(), Token(n))?;
        self.send(n, now());
        Ok(())
    }

    /// Drops what the warm-up counted.
    fn forget(&mut self) {
        self.statuses.fill(0);
        self.latencies.clear();
        self.found = Outcome::default();
    }

    fn mark(&self) -> io::Result<Mark> {
        let server = self.server_pid.map(cpu::of).transpose()?;
        Ok(Mark { at: now(), own: cpu::own()?, server })
    }

    fn outcome(self, before: &Mark, after: &Mark) -> Outcome {
        let mut found = self.found;
        found.window = after.at - before.at;
        let share = |from: Duration, to: Duration| (to - from).as_secs_f64() / found.window.as_secs_f64();
        found.own_cpu = share(before.own, after.own);
        found.server_cpu = before.server.zip(after.server).map(|(from, to)| share(from, to));
        let counted = self.statuses.iter().zip(0_u16..).filter(|(times, _)| **times > 0);
        found.statuses = counted.map(|(times, status)| (status, *times)).collect();
        let right = |status: &u16| self.load.expected.contains(status);
        found.unexpected = found.statuses.iter().filter(|(status, _)| !right(status)).map(|(_, n)| n).sum();
        found.requests_per_second = self.latencies.total() as f64 / found.window.as_secs_f64();
        found.set_latencies(&self.latencies);
        found
    }
}

/// Where the clocks stood at one end of the window.
struct Mark {
    at: Instant,
    own: Duration,
    server: Option<Duration>,
}

const READ_BYTES: usize = 128 * 1024;
