//! The world: one thread, one queue of what will happen, and a clock that jumps from one thing to the next.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use keygate_gate::{Gate, Lease};
use keygate_model::{Policy, Span, Timestamp, Uptime, policy::OWN_POLICY};

use crate::{
    chance::Chance,
    faults::Fault,
    flaw::Flaw,
    judge::Judge,
    node::Node,
    record::{Server, ServerEvent},
    remote::Remote,
    truth::DAWN,
};

pub(crate) use crate::{node::NodeEvent, remote::RemoteEvent};

/// How many nodes there are, each with a gate of its own, and how many gates elsewhere.
pub(crate) const NODES: usize = 2;
pub(crate) const REMOTES: usize = 3;

/// Time, in microseconds since the world began.
pub(crate) type Tick = u64;

pub(crate) const MILLI: Tick = 1_000;
pub(crate) const SECOND: Tick = 1_000_000;

/// How long leases are: short, so that many end.
pub(crate) const LEASE: Span = Span::seconds::<2>();

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody changes something.
    Act,
    /// Somebody asks a gate: the nodes' own first.
    Ask(usize),
    Server(usize, ServerEvent),
    /// To a run of a node.
    Node(usize, u32, NodeEvent),
    /// To a run of a gate elsewhere.
    Remote(usize, u32, RemoteEvent),
    Fault(Fault),
}

/// What every process has: a gate, and clocks of its own.
pub(crate) struct Body {
    pub(crate) gate: Arc<Gate>,
    hand: Arc<AtomicU64>,
    start: u64,
    /// How much faster its clock is than the world's, in millionths.
    ppm: i64,
    /// By how much somebody has set its time of day, in seconds.
    pub(crate) wall: i64,
    pub(crate) up: bool,
    pub(crate) paused_until: Tick,
}

/// Between a gate and a node: until when nothing goes there, and nothing comes from there.
#[derive(Clone, Copy, Default)]
pub(crate) struct Link {
    pub(crate) there: Tick,
    pub(crate) back: Tick,
    pub(crate) slow: Tick,
}

pub(crate) struct World {
    pub(crate) flaw: Option<Flaw>,
    pub(crate) chance: Chance,
    pub(crate) now: Tick,
    queue: BTreeMap<(Tick, u64), Event>,
    puts: u64,
    pub(crate) servers: Vec<Server>,
    pub(crate) primary: usize,
    pub(crate) backup: Option<Server>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) remotes: Vec<Remote>,
    pub(crate) links: [[Link; NODES]; REMOTES],
    /// Until when a node does not reach its database.
    pub(crate) lines: [Tick; NODES],
    /// Until when the primary does not reach its standby.
    pub(crate) shipping: Tick,
    /// Until when frames are lost, told twice or out of turn.
    pub(crate) chaos: Tick,
    pub(crate) made: usize,
    /// The operator has stopped all nodes.
    pub(crate) is_stopped: bool,
    /// A backup was restored, and its epoch is not raised yet.
    pub(crate) is_quarantined: bool,
    pub(crate) judge: Judge,
    pub(crate) trace: Option<Vec<String>>,
}

static OWN: LazyLock<Arc<Policy>> =
    LazyLock::new(|| Arc::new(Policy::compile(OWN_POLICY).expect("our own policy")));

pub(crate) fn own_policy() -> Arc<Policy> {
    Arc::clone(&OWN)
}

thread_local! {
    /// Gates of worlds that are over: to make one takes longer than to live through a second.
    static GATES: RefCell<Vec<(Arc<Gate>, Arc<AtomicU64>)>> = const { RefCell::new(Vec::new()) };
}

impl Body {
    pub(crate) fn new(chance: &mut Chance) -> Self {
        let (gate, hand) = GATES.with_borrow_mut(Vec::pop).unwrap_or_else(|| {
            let hand = Arc::new(AtomicU64::new(0));
            let read = Arc::clone(&hand);
            let lease = Lease::of(LEASE, move || Uptime::from_micros(read.load(Ordering::Relaxed)));
            (Arc::new(Gate::new(own_policy(), 0).with_lease(lease)), hand)
        });
        let start = chance.between(10, 1 << 40);
        let ppm = i64::try_from(chance.below(1_999)).expect("small") - 999;
        Self { gate, hand, start, ppm, wall: 0, up: true, paused_until: 0 }
    }

    /// As a process begins: it holds nothing.
    pub(crate) fn begin_anew(&self) {
        self.gate.close();
        self.gate.lease().end();
        drop(self.gate.replace(self.gate.filling(0)));
    }

    /// What its clock shows, and whoever asks in it sees.
    pub(crate) fn uptime(&self, now: Tick) -> Uptime {
        let off = i128::from(now) * i128::from(self.ppm) / 1_000_000;
        let micros = u64::try_from(i128::from(self.start + now) + off).expect("a time");
        self.hand.store(micros, Ordering::Relaxed);
        Uptime::from_micros(micros)
    }

    pub(crate) fn wall(&self, now: Tick) -> Timestamp {
        Timestamp::from_seconds(DAWN + self.wall + i64::try_from(now / SECOND).expect("a time"))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        drop(self.gate.take_marks(usize::MAX));
        let (gate, hand) = (Arc::clone(&self.gate), Arc::clone(&self.hand));
        GATES.with_borrow_mut(|gates| gates.push((gate, hand)));
    }
}

impl World {
    pub(crate) fn new(seed: u64, flaw: Option<Flaw>, traced: bool) -> Self {
        let mut world = Self {
            flaw,
            chance: Chance::of(seed),
            now: 0,
            queue: BTreeMap::new(),
            puts: 1 << 32,
            servers: Vec::new(),
            primary: 0,
            backup: None,
            nodes: Vec::new(),
            remotes: Vec::new(),
            links: Default::default(),
            lines: [0; NODES],
            shipping: 0,
            chaos: 0,
            made: 0,
            is_stopped: false,
            is_quarantined: false,
            judge: Judge::default(),
            trace: traced.then(Vec::new),
        };
        let first = world.add_server(Server::new());
        world.promote(first);
        for number in 0..NODES {
            let node = Node::new(&mut world.chance);
            world.nodes.push(node);
            world.start_node(number);
        }
        for number in 0..REMOTES {
            let remote = Remote::new(&mut world.chance, number);
            world.remotes.push(remote);
            world.start_remote(number);
        }
        world.plan();
        world
    }

    /// Lives through it all. What was wrong, if anything was.
    pub(crate) fn run(&mut self) -> Option<String> {
        while let Some(((at, number), event)) = self.queue.pop_first() {
            self.now = at;
            if at >= self.judge.end {
                break;
            }
            if let Some(later) = self.held_up(&event) {
                self.queue.insert((later, number), event);
                continue;
            }
            if let Some(trace) = &mut self.trace {
                trace.push(format!("{:>9.4} {event:?}", at as f64 / SECOND as f64));
            }
            self.step(event);
            if self.judge.wrong.is_some() {
                break;
            }
        }
        self.judge.wrong.take()
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Act => self.act(),
            Event::Ask(gate) => self.ask(gate),
            Event::Server(server, event) => self.at_server(server, event),
            Event::Node(node, run, event) => {
                if self.nodes[node].body.up && self.nodes[node].run == run {
                    self.at_node(node, event);
                    self.nodes_are_in_order(node);
                }
            }
            Event::Remote(remote, run, event) => {
                if self.remotes[remote].body.up && self.remotes[remote].run == run {
                    self.at_remote(remote, event);
                    self.remotes_are_in_order(remote);
                }
            }
            Event::Fault(fault) => self.strike(fault),
        }
    }

    /// Until when something cannot happen yet: whoever it happens to is paused, or what it comes over is cut.
    fn held_up(&self, event: &Event) -> Option<Tick> {
        let until = match event {
            Event::Node(node, _, event) => {
                let line = match event {
                    NodeEvent::Connect { remote, .. } | NodeEvent::Heartbeat { remote, .. } => {
                        self.links[*remote][*node].there
                    }
                    NodeEvent::Committed { .. } | NodeEvent::Look | NodeEvent::Receipts { .. } => {
                        self.lines[*node]
                    }
                    _ => 0,
                };
                line.max(self.nodes[*node].body.paused_until)
            }
            Event::Remote(remote, _, event) => {
                let line = event.comes_from().map_or(0, |node| self.links[*remote][node].back);
                line.max(self.remotes[*remote].body.paused_until)
            }
            Event::Server(_, ServerEvent::Shipped(..) | ServerEvent::Flushed(_)) => self.shipping,
            Event::Server(_, ServerEvent::Ordered(order)) => self.lines[order.node],
            Event::Ask(gate) => self.body(*gate).paused_until,
            Event::Act | Event::Fault(_) => 0,
        };
        (until > self.now).then_some(until)
    }

    /// Lets something happen.
    pub(crate) fn put(&mut self, at: Tick, event: Event) {
        self.puts += 1;
        self.queue.insert((at, self.puts), event);
    }

    /// Before everything else that happens then.
    pub(crate) fn put_first(&mut self, at: Tick, event: Event) {
        self.puts += 1;
        self.queue.insert((at, self.puts - (1 << 32)), event);
    }

    pub(crate) fn body(&self, gate: usize) -> &Body {
        match gate.checked_sub(NODES) {
            None => &self.nodes[gate].body,
            Some(remote) => &self.remotes[remote].body,
        }
    }

    pub(crate) fn body_mut(&mut self, gate: usize) -> &mut Body {
        match gate.checked_sub(NODES) {
            None => &mut self.nodes[gate].body,
            Some(remote) => &mut self.remotes[remote].body,
        }
    }

    /// How long something takes between a gate and a node.
    pub(crate) fn delay(&mut self, remote: usize, node: usize) -> Tick {
        match self.links[remote][node].slow > self.now {
            true => self.chance.between(MILLI, 3 * SECOND),
            false => self.chance.between(100, 5 * MILLI),
        }
    }
}
