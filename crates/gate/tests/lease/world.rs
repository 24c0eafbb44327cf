//! A record, an old primary and the standby that may replace it, gates, and a network between them that does what it likes:
//! loses (what is never delivered), repeats (what is delivered stays), delays and reorders (any order, any time). A process
//! that pauses is one that takes no step for a while. What gates and nodes do is done by the code that is shipped.

use std::collections::{BTreeMap, BTreeSet};

use keygate_gate::lease::{Heartbeats, Hold, Proof};
use keygate_model::{
    Circumstances, Permit, Position, Span, Timestamp, Uptime, Verdict,
    enforce::{Drift, Echo, Enforcement, Epoch, Gates, Heartbeat, Nonce, Session},
};

/// What is made wrong on purpose, for the checker to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// A gate counts its lease from when the echo comes in.
    CountsFromReceipt,
    /// A node echoes a heartbeat that it could not commit.
    EchoesWithoutCommit,
    /// A receipt waits for no lease.
    DoesNotWait,
    /// Clocks are taken to be exact.
    TrustsClocks,
    /// A gate lets somebody in by what it found before it said that a change is applied.
    DoesNotLookAgain,
    /// A new primary neither knows of the leases that the old one granted, nor waits.
    ForgetsGrants,
    /// An echo counts before its position is applied.
    CountsUnapplied,
}

/// How a new primary learns of leases that it did not grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takeover {
    /// The heartbeats stand in the record.
    Reads,
    /// It waits for as long as any may last.
    Waits,
}

/// A world to be visited.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) flaw: Flaw,
    pub(crate) takeover: Takeover,
    /// How many heartbeats each gate sends at most.
    pub(crate) heartbeats: Vec<u8>,
    /// How often the network delivers each of them at most.
    pub(crate) copies: u8,
    /// How long it is visited.
    pub(crate) ticks: u8,
}

pub(crate) const LEASE: Span = Span::seconds::<1>();
const REVOKE: Position = Position(1);

/// Which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Which {
    Old,
    New,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// True time, in seconds.
    tick: u8,
    /// How wrong the clocks run.
    rates: Rates,
    /// When the revoke was committed.
    revoked: Option<u8>,
    /// What stands in the record: each heartbeat that was committed.
    rows: BTreeSet<Heartbeat>,
    /// The old primary has lost its standby, which has lost it. It goes on answering as well as it can.
    cut: bool,
    /// Whether the old one had the revoke when it was cut off.
    old_has_it: bool,
    old: Node,
    new: Option<Node>,
    pub(crate) gates: Vec<Follower>,
    /// What is on its way, and how many copies of it. Of echoes any number: a gate takes one.
    heartbeats: BTreeMap<(Which, Heartbeat), u8>,
    echoes: BTreeSet<Echo>,
    pub(crate) receipt: bool,
    pub(crate) wrong: Wrong,
}

/// What must never be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Wrong {
    pub(crate) allowed_after_receipt: bool,
    pub(crate) allowed_after_bound: bool,
    pub(crate) receipt_too_early: bool,
    pub(crate) stray_counted: bool,
}

/// How fast the clocks of gates and of nodes run: millionths of a second too much in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Rates {
    gates: i64,
    nodes: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    gates: Gates,
    /// Heartbeats that wait for their commit.
    pending: BTreeSet<Heartbeat>,
    /// By its clock, when it knew of the revoke.
    committed: Option<Uptime>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Follower {
    heartbeats: Heartbeats,
    sent: u8,
    hold: Hold,
    pub(crate) applied: Position,
    follows: Which,
    /// The look-up for somebody had found the token, under this hold, when the revoke was applied.
    asked: Option<Hold>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Tick,
    Cut,
    Promote,
    Revoke,
    Receipt(Which),
    Send(usize),
    Hear(Which, Heartbeat),
    Commit(Which, Heartbeat),
    Deliver(usize, Echo),
    Apply(usize),
    Switch(usize),
    Answer(usize),
}

impl World {
    pub(crate) fn new(flaw: Flaw, heartbeats: &[u8]) -> Self {
        Self { flaw, takeover: Takeover::Reads, heartbeats: heartbeats.to_vec(), copies: 1, ticks: 2 }
    }

    fn drift(&self) -> Drift {
        if self.flaw == Flaw::TrustsClocks { Drift::ppm(0).expect("none") } else { Drift::DEFAULT }
    }

    pub(crate) fn starts(&self) -> Vec<State> {
        let follower = |number: u128| Follower {
            heartbeats: Heartbeats::new(Session(number), Epoch(1)),
            sent: 0,
            hold: Hold::NONE,
            applied: Position(0),
            follows: Which::Old,
            asked: None,
        };
        let start = |(gates, nodes)| State {
            tick: 0,
            rates: Rates { gates, nodes },
            revoked: None,
            rows: BTreeSet::new(),
            cut: false,
            old_has_it: false,
            old: Node { gates: Gates::complete(self.drift()), pending: BTreeSet::new(), committed: None },
            new: None,
            gates: (0..self.heartbeats.len() as u128).map(follower).collect(),
            heartbeats: BTreeMap::new(),
            echoes: BTreeSet::new(),
            receipt: false,
            wrong: Wrong::default(),
        };
        // The gates slow and the nodes fast is the worst: a lease lasts longest, and is given up first.
        vec![start((-1_000, 1_000))]
    }

    pub(crate) fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        if state.wrong != Wrong::default() {
            return;
        }
        if state.tick < self.ticks {
            steps.push(Step::Tick);
        }
        if !state.cut {
            steps.push(Step::Cut);
        } else if state.new.is_none() {
            steps.push(Step::Promote);
        }
        if state.revoked.is_none() && (!state.cut || state.new.is_some()) {
            steps.push(Step::Revoke);
        }
        for (which, node) in [(Which::Old, Some(&state.old)), (Which::New, state.new.as_ref())] {
            let Some(node) = node else { continue };
            if node.committed.is_some() && !state.receipt {
                steps.push(Step::Receipt(which));
            }
            let here = state.heartbeats.keys().filter(|(to, _)| *to == which);
            steps.extend(here.map(|(to, one)| Step::Hear(*to, *one)));
            steps.extend(node.pending.iter().map(|one| Step::Commit(which, *one)));
        }
        for (number, gate) in state.gates.iter().enumerate() {
            // Gates are alike, so it does not matter which is called the first to send.
            let comes_next = number == 0 || state.gates[number - 1].sent > 0;
            if comes_next && gate.sent < self.heartbeats[number] {
                steps.push(Step::Send(number));
            }
            if gate.applied < state.position_at(gate.follows) {
                steps.push(Step::Apply(number));
            }
            if gate.follows == Which::Old && state.new.is_some() {
                steps.push(Step::Switch(number));
            }
            // Before a revoke, whatever is answered is right.
            if state.revoked.is_some() {
                steps.push(Step::Answer(number));
            }
            // Also to whom it is not addressed.
            steps.extend(state.echoes.iter().map(|echo| Step::Deliver(number, *echo)));
        }
    }

    /// The world after a step. None: nothing has changed.
    pub(crate) fn after(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Tick => state.tick += 1,
            Step::Cut => {
                state.cut = true;
                state.old_has_it = state.revoked.is_some();
            }
            Step::Promote => state.promote(self),
            Step::Revoke => {
                state.revoked = Some(state.tick);
                let now = state.node_clock();
                state.primary().committed = Some(now);
            }
            Step::Receipt(which) => state.ask_for_receipt(which, self.flaw),
            Step::Send(number) => state.send(number, self.copies),
            Step::Hear(which, heartbeat) => {
                let now = state.node_clock();
                match state.heartbeats.get_mut(&(which, heartbeat)) {
                    Some(copies) if *copies > 1 => *copies -= 1,
                    _ => {
                        state.heartbeats.remove(&(which, heartbeat));
                    }
                }
                let node = state.node(which);
                node.gates.heard(&heartbeat, "gate", LEASE, now).expect("room");
                node.pending.insert(heartbeat);
            }
            Step::Commit(which, heartbeat) => state.commit(which, heartbeat, self.flaw),
            Step::Deliver(number, echo) => state.deliver(number, &echo, self.flaw),
            Step::Apply(number) => {
                let position = state.position_at(state.gates[number].follows);
                let gate = &mut state.gates[number];
                gate.applied = position;
                gate.asked = (self.flaw == Flaw::DoesNotLookAgain).then_some(gate.hold);
                let proofs = gate.heartbeats.applied(position);
                gate.hold = proofs.into_iter().fold(gate.hold, Hold::with);
            }
            Step::Switch(number) => state.gates[number].follows = Which::New,
            Step::Answer(number) => state.answer(number),
        }
        (state != *before).then_some(state)
    }
}

impl State {
    fn clock(&self, start: u64, rate: i64, tick: u8) -> Uptime {
        let second = u64::try_from(1_000_000 + rate).expect("a rate");
        Uptime::from_micros(start * 1_000_000 + second * u64::from(tick))
    }

    /// The gates' clocks have nothing to do with those of the nodes.
    fn gate_clock(&self, tick: u8) -> Uptime {
        self.clock(1_000, self.rates.gates, tick)
    }

    fn node_clock(&self) -> Uptime {
        self.clock(7, self.rates.nodes, self.tick)
    }

    /// The time of day, which somebody sets every second: it must not matter.
    fn wall(&self) -> Timestamp {
        let jumps = [0, 315_360_000, -315_360_000, 3_600, -30];
        Timestamp::from_seconds(1_800_000_000 + jumps[usize::from(self.tick) % jumps.len()])
    }

    fn node(&mut self, which: Which) -> &mut Node {
        match which {
            Which::Old => &mut self.old,
            Which::New => self.new.as_mut().expect("promoted"),
        }
    }

    fn primary(&mut self) -> &mut Node {
        self.new.as_mut().unwrap_or(&mut self.old)
    }

    fn position_at(&self, which: Which) -> Position {
        let has_it = match which {
            Which::Old if self.cut => self.old_has_it,
            Which::Old | Which::New => self.revoked.is_some(),
        };
        if has_it { REVOKE } else { Position(0) }
    }

    fn promote(&mut self, world: &World) {
        let now = self.node_clock();
        let gates = match (world.flaw, world.takeover) {
            (Flaw::ForgetsGrants, _) => Gates::complete(world.drift()),
            (_, Takeover::Waits) => Gates::after_start(world.drift(), LEASE, now),
            (_, Takeover::Reads) => {
                let mut gates = Gates::complete(world.drift());
                for row in &self.rows {
                    gates.heard(row, "gate", LEASE, now).expect("room");
                }
                gates
            }
        };
        let committed = self.revoked.map(|_| now);
        self.new = Some(Node { gates, pending: BTreeSet::new(), committed });
    }

    fn ask_for_receipt(&mut self, which: Which, flaw: Flaw) {
        let (now, gate_now) = (self.node_clock(), self.gate_clock(self.tick));
        let node = self.node(which);
        let Some(committed) = node.committed else { return };
        let given = match node.gates.enforced(REVOKE, committed, now) {
            Enforcement::Enforced(_) => true,
            Enforcement::Waiting { until, .. } => {
                assert!(now < until, "what is waited for is ahead");
                flaw == Flaw::DoesNotWait
            }
        };
        if given {
            self.receipt = true;
            self.wrong.receipt_too_early = self.gates.iter().any(|gate| {
                let lapsed = lets_in(gate.hold, gate_now, Timestamp::from_micros(0));
                gate.applied < REVOKE && lapsed
            });
        }
    }

    fn send(&mut self, number: usize, copies: u8) {
        let now = self.gate_clock(self.tick);
        let gate = &mut self.gates[number];
        let nonce = Nonce(number as u128 * 16 + u128::from(gate.sent));
        gate.sent += 1;
        let heartbeat = gate.heartbeats.send(nonce, gate.applied, now);
        self.heartbeats.insert((gate.follows, heartbeat), copies);
    }

    /// The old primary needs its standby for that.
    fn commit(&mut self, which: Which, heartbeat: Heartbeat, flaw: Flaw) {
        let cannot = which == Which::Old && self.cut;
        if cannot && flaw != Flaw::EchoesWithoutCommit {
            return;
        }
        let Heartbeat { session, epoch, nonce, .. } = heartbeat;
        let position = self.position_at(which);
        self.node(which).pending.remove(&heartbeat);
        if !cannot {
            self.rows.insert(heartbeat);
        }
        self.echoes.insert(Echo { session, epoch, nonce, position, granted: LEASE });
    }

    fn deliver(&mut self, number: usize, echo: &Echo, flaw: Flaw) {
        let now = self.gate_clock(self.tick);
        let gate = &mut self.gates[number];
        let applied = if flaw == Flaw::CountsUnapplied { echo.position } else { gate.applied };
        let Ok(proofs) = gate.heartbeats.echoed(echo, applied) else { return };
        self.wrong.stray_counted = echo.session != Session(number as u128);
        let counted = |proof: Proof| match flaw {
            Flaw::CountsFromReceipt => Proof { sent: now, ..proof },
            _ => proof,
        };
        gate.hold = proofs.into_iter().map(counted).fold(gate.hold, Hold::with);
    }

    /// Somebody asks with the token. Who is let in without harm changes nothing.
    fn answer(&mut self, number: usize) {
        let (now, wall) = (self.gate_clock(self.tick), self.wall());
        let gate = &self.gates[number];
        // Who has applied the revoke finds no token, but for somebody who was looked up before.
        let held = if gate.applied < REVOKE { Some(gate.hold) } else { gate.asked };
        if held.is_none_or(|held| !lets_in(held, now, wall)) {
            return;
        }
        let since = self.revoked.map(|tick| now.since(self.gate_clock(tick)));
        self.wrong.allowed_after_receipt = self.receipt;
        self.wrong.allowed_after_bound = since.is_some_and(|since| since >= LEASE.duration());
    }
}

/// Whether a gate lets somebody in whom it has looked up under this hold: the law says.
fn lets_in(hold: Hold, now: Uptime, wall: Timestamp) -> bool {
    let at = Circumstances::of(wall, None).knowing(hold.knowledge(LEASE, now));
    matches!(at.settle(Verdict::Allow(Permit::public())), Verdict::Allow(_))
}
