//! What goes wrong, and what people do meanwhile.

use crate::{
    flaw::Flaw,
    judge::ASKS_EVERY,
    node::{Job, NodeEvent},
    record::Server,
    remote::SILENCE_MAX,
    truth::{Change, TOKENS, USERS},
    world::{Event, MILLI, NODES, REMOTES, SECOND, Tick, World},
};

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A process takes no step for a while; its clock runs on.
    Pause {
        gate: usize,
        long: Tick,
    },
    /// A process is killed, and started again after a while.
    Kill {
        gate: usize,
        long: Tick,
        silent: bool,
    },
    Start {
        gate: usize,
    },
    /// Nothing goes one way, the other, or both.
    Cut {
        remote: usize,
        node: usize,
        there: Tick,
        back: Tick,
    },
    /// What goes there trickles.
    Slow {
        remote: usize,
        node: usize,
        long: Tick,
    },
    /// A node does not reach its database.
    CutDatabase {
        node: usize,
        long: Tick,
    },
    /// The primary does not reach its standby.
    CutStandby {
        long: Tick,
    },
    /// Frames are lost, told twice or out of turn, and so are heartbeats.
    Chaos {
        long: Tick,
    },
    /// Somebody sets a clock.
    SetClock {
        gate: usize,
        seconds: i64,
    },
    /// The standby becomes the primary.
    FailOver,
    /// The old primary begins anew, cut off from everybody but those who are still with it.
    RestartOld {
        server: usize,
    },
    BackUp,
    /// All nodes are stopped, the backup is restored, and they begin on it.
    Restore,
    Restored,
    /// The operator says that it is another life of the record.
    Raise,
    Raised,
}

/// Until when things go wrong, how long it takes until everything is well again, and how long that is looked at.
const QUIET_FROM: Tick = 6 * SECOND;
const SETTLED_AFTER: Tick = 12 * SECOND;
const END_AFTER: Tick = 2 * SECOND;

impl World {
    /// What will happen.
    pub(crate) fn plan(&mut self) {
        let mut backs_up = false;
        let is_calm = self.chance.once_in(12);
        // It takes long until everything is well again, and is seldom worth it.
        let settles = self.chance.once_in(24);
        (self.judge.healthy_from, self.judge.end) = match (is_calm, settles) {
            (true, _) => (SECOND, SECOND + 2 * END_AFTER),
            (false, true) => (QUIET_FROM + SETTLED_AFTER, QUIET_FROM + SETTLED_AFTER + END_AFTER),
            (false, false) => (Tick::MAX, QUIET_FROM),
        };
        if !is_calm {
            for _ in 0..self.chance.between(1, 8) {
                let at = self.chance.between(SECOND / 2, 5 * SECOND);
                let fault = self.some_fault();
                self.put(at, Event::Fault(fault));
            }
            let restores = self.flaw == Some(Flaw::HidesPast);
            match if restores { 4 } else { self.chance.below(10) } {
                0..=3 => self.plan_fail_over(),
                4 => {
                    let at = self.chance.between(SECOND / 2, 2 * SECOND);
                    self.put(at, Event::Fault(Fault::BackUp));
                    backs_up = true;
                    let at = at + self.chance.between(SECOND / 2, 2 * SECOND);
                    self.put(at, Event::Fault(Fault::Restore));
                }
                _ => {}
            }
        }
        let until = self.judge.end + if backs_up { 12 * SECOND } else { 0 };
        let mut at = 0;
        while at < until {
            at += self.chance.between(50 * MILLI, 700 * MILLI);
            self.put(at, Event::Act);
        }
        for gate in 0..NODES + REMOTES {
            let mut at = 0;
            while at < until {
                at += self.chance.between(1, 2 * ASKS_EVERY);
                self.put(at, Event::Ask(gate));
            }
        }
    }

    fn plan_fail_over(&mut self) {
        let at = self.chance.between(SECOND, 4 * SECOND);
        if self.chance.once_in(2) {
            // What the primary cannot ship, it cannot acknowledge.
            let before = at - self.chance.between(1, SECOND);
            self.put(before, Event::Fault(Fault::CutStandby { long: 4 * SECOND }));
        }
        self.put(at, Event::Fault(Fault::FailOver));
    }

    fn some_fault(&mut self) -> Fault {
        let gate = self.chance.index(NODES + REMOTES);
        let (remote, node) = (self.chance.index(REMOTES), self.chance.index(NODES));
        let long = self.chance.between(100 * MILLI, 5 * SECOND);
        match self.chance.below(12) {
            0 | 1 => Fault::Pause { gate, long },
            2 | 3 => Fault::Kill { gate, long: long / 3, silent: self.chance.once_in(2) },
            4 | 5 => {
                let (there, back) = match self.chance.below(3) {
                    0 => (long, 0),
                    1 => (0, long),
                    _ => (long, long),
                };
                Fault::Cut { remote, node, there, back }
            }
            6 => Fault::Slow { remote, node, long },
            7 => Fault::CutDatabase { node, long },
            8 => Fault::CutStandby { long },
            9 | 10 => Fault::Chaos { long },
            _ => {
                let jumps = [1, -1, 30, -30, 3_600, -3_600, 315_360_000, -315_360_000];
                Fault::SetClock { gate, seconds: jumps[self.chance.index(jumps.len())] }
            }
        }
    }

    /// It goes wrong.
    pub(crate) fn strike(&mut self, fault: Fault) {
        let now = self.now;
        match fault {
            Fault::Pause { gate, long } => {
                let until = now + long;
                self.body_mut(gate).paused_until = until;
                // Whoever asks gets the first answer, before anything that came in meanwhile is looked at.
                self.put_first(until, Event::Ask(gate));
            }
            Fault::Kill { gate, long, silent } => {
                if self.body(gate).up {
                    self.kill(gate, silent);
                    self.put(now + long, Event::Fault(Fault::Start { gate }));
                }
            }
            Fault::Start { gate } => {
                if !self.body(gate).up && (gate >= NODES || !self.is_stopped) {
                    self.start(gate);
                }
            }
            Fault::Cut { remote, node, there, back } => {
                let link = &mut self.links[remote][node];
                (link.there, link.back) = (link.there.max(now + there), link.back.max(now + back));
            }
            Fault::Slow { remote, node, long } => self.links[remote][node].slow = now + long,
            Fault::CutDatabase { node, long } => self.lines[node] = now + long,
            Fault::CutStandby { long } => self.shipping = now + long,
            Fault::Chaos { long } => self.chaos = now + long,
            Fault::SetClock { gate, seconds } => self.body_mut(gate).wall += seconds,
            Fault::FailOver => self.fail_over(),
            Fault::RestartOld { server } => {
                self.restart_server(server);
                for node in 0..NODES {
                    let (writer, reader) = (self.nodes[node].writer, self.nodes[node].reader);
                    if reader == server && writer != server {
                        // The connection is lost, and not to be had again.
                        self.put_node(node, 0, NodeEvent::Moves { writer: false, server: writer });
                    }
                    self.put_node(node, 20 * MILLI, NodeEvent::Look);
                }
            }
            Fault::BackUp => self.backup = Some(self.servers[self.primary].copied()),
            Fault::Restore => self.stop_for_good(Fault::Restored),
            Fault::Restored => self.restored(),
            Fault::Raise => self.stop_for_good(Fault::Raised),
            Fault::Raised => {
                self.servers[self.primary].epoch += 1;
                self.is_quarantined = false;
                self.start_all();
            }
        }
    }

    fn kill(&mut self, gate: usize, silent: bool) {
        match gate.checked_sub(NODES) {
            None => self.stop_node(gate, silent),
            Some(remote) => self.stop_remote(remote),
        }
        self.body_mut(gate).paused_until = 0;
    }

    fn start(&mut self, gate: usize) {
        match gate.checked_sub(NODES) {
            None => self.start_node(gate),
            Some(remote) => self.start_remote(remote),
        }
    }

    /// The old primary is cut off from its standby, which takes its place. Nodes find it one by one.
    fn fail_over(&mut self) {
        let (old, new) = (self.primary, self.standby());
        self.promote(new);
        self.nothing_is_lost();
        self.shipping = 0;
        for node in 0..NODES {
            for writer in [true, false] {
                let after = self.chance.between(10 * MILLI, 3 * SECOND);
                self.put_node(node, after, NodeEvent::Moves { writer, server: new });
            }
        }
        if self.chance.once_in(4) {
            let at = self.now + self.chance.between(10 * MILLI, 2 * SECOND);
            self.put(at, Event::Fault(Fault::RestartOld { server: old }));
        }
    }

    /// Stops all nodes for longer than any lease lasts, and than anybody listens to nothing.
    fn stop_for_good(&mut self, then: Fault) {
        self.is_stopped = true;
        for node in 0..NODES {
            if self.body(node).up {
                self.kill(node, false);
            }
        }
        self.put(self.now + SILENCE_MAX + SECOND / 4, Event::Fault(then));
    }

    fn start_all(&mut self) {
        self.is_stopped = false;
        (0..NODES).for_each(|node| self.start(node));
    }

    fn restored(&mut self) {
        let backup: Server = self.backup.take().expect("it was made before");
        let server = self.add_server(backup);
        self.promote(server);
        self.was_restored();
        self.start_all();
        // As no node lets anybody; gates are safe from it all the same.
        let is_written_to = self.flaw == Some(Flaw::HidesPast) || self.chance.once_in(2);
        self.is_quarantined = !is_written_to;
        let longer = if is_written_to { 5 * SECOND } else { 0 };
        let after = longer + self.chance.between(SECOND, 3 * SECOND);
        self.put(self.now + after, Event::Fault(Fault::Raise));
        // All of it takes its time.
        self.judge.end = self.judge.end.max(self.now + after + 3 * SECOND);
        if self.judge.healthy_from < Tick::MAX {
            self.judge.healthy_from = self.now + after + 3 * SECOND + SETTLED_AFTER;
            self.judge.end = self.judge.healthy_from + END_AFTER;
        }
    }

    /// Somebody changes something; but nobody changes a record that is quarantined until its epoch is raised.
    pub(crate) fn act(&mut self) {
        if self.is_quarantined {
            return;
        }
        let node = self.chance.index(NODES);
        let change = self.some_change();
        let enforced = self.chance.once_in(2);
        self.put_node(node, 0, NodeEvent::Change(Job { change, enforced }));
    }

    fn some_change(&mut self) -> Change {
        let user = self.chance.index(USERS);
        match self.chance.below(12) {
            0..=4 if self.made < TOKENS => {
                self.made += 1;
                Change::Create(self.made - 1)
            }
            0..=8 => Change::Revoke(self.chance.index(self.made.max(1))),
            9 => Change::Lock(user),
            10 => Change::Unlock(user),
            _ if self.chance.once_in(2) => Change::Suspend,
            _ => Change::Resume,
        }
    }
}
