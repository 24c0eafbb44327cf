//! The record: a database and its synchronous standby, as far as promises go. A commit is flushed here, then by the standby,
//! and only then anybody sees it or is answered.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use keygate_authority::gates::Beat;
use keygate_model::enforce::Session;

use crate::{
    flaw::Flaw,
    truth::{Change, Entry},
    world::{Event, NodeEvent, Tick, World},
};

/// What a node wants committed together.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) node: usize,
    pub(crate) run: u32,
    pub(crate) number: u64,
    pub(crate) changes: Vec<Change>,
    pub(crate) beats: Vec<Beat>,
}

/// An order on its way to the standby.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) order: Order,
    pub(crate) entries: Vec<Arc<Entry>>,
}

/// One database.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) epoch: u64,
    pub(crate) chain: Vec<Arc<Entry>>,
    pub(crate) beats: BTreeMap<Session, Beat>,
    queue: VecDeque<Order>,
    flight: Option<Flight>,
    standby: Option<usize>,
    /// It began anew when another had taken its place.
    pub(crate) is_stray: bool,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            epoch: 1,
            chain: vec![Entry::first()],
            beats: BTreeMap::new(),
            queue: VecDeque::new(),
            flight: None,
            standby: None,
            is_stray: false,
        }
    }

    pub(crate) fn tip(&self) -> &Arc<Entry> {
        self.chain.last().expect("it begins with one")
    }

    pub(crate) fn at(&self, position: i64) -> Option<&Arc<Entry>> {
        self.chain.get(usize::try_from(position - 1).ok()?)
    }

    pub(crate) fn holds(&self, entry: &Entry) -> bool {
        self.at(entry.position).is_some_and(|held| held.hash == entry.hash)
    }

    fn take(&mut self, flight: &Flight) {
        self.chain.extend(flight.entries.iter().cloned());
        for beat in &flight.order.beats {
            self.beats.insert(beat.heartbeat.session, beat.clone());
        }
    }

    /// A copy, as a standby or a backup is made.
    pub(crate) fn copied(&self) -> Self {
        Self { queue: VecDeque::new(), flight: None, standby: None, ..self.clone() }
    }
}

/// What happens to a server.
#[derive(Debug)]
pub(crate) enum ServerEvent {
    /// An order comes in.
    Ordered(Order),
    /// What is committed here reaches the standby.
    Shipped(Flight, usize),
    /// The standby has it.
    Flushed(u64),
}

impl World {
    pub(crate) fn add_server(&mut self, server: Server) -> usize {
        self.servers.push(server);
        self.servers.len() - 1
    }

    /// Makes a server the primary, with a standby of its own.
    pub(crate) fn promote(&mut self, server: usize) {
        let standby = self.servers[server].copied();
        let standby = self.add_server(standby);
        self.servers[server].standby = Some(standby);
        self.primary = server;
    }

    pub(crate) fn standby(&self) -> usize {
        self.servers[self.primary].standby.expect("a primary has one")
    }

    pub(crate) fn at_server(&mut self, server: usize, event: ServerEvent) {
        match event {
            ServerEvent::Ordered(order) => {
                self.servers[server].queue.push_back(order);
                self.next_order(server);
            }
            ServerEvent::Shipped(flight, from) => {
                // Who was promoted takes nothing any more from whom it followed.
                let follows =
                    self.servers[from].standby == Some(server) && self.servers[server].standby.is_none();
                if !follows {
                    return;
                }
                let number = flight.order.number;
                self.servers[server].take(&flight);
                let at = self.now + self.chance.between(50, 500);
                self.put(at, Event::Server(from, ServerEvent::Flushed(number)));
            }
            ServerEvent::Flushed(number) => {
                let is_flight = |flight: &Flight| flight.order.number == number;
                if self.servers[server].flight.as_ref().is_some_and(is_flight) {
                    self.settle(server);
                }
            }
        }
    }

    /// Takes the next order, if there is none under way: changes stand in one line.
    fn next_order(&mut self, server: usize) {
        if self.servers[server].flight.is_some() {
            return;
        }
        let Some(order) = self.servers[server].queue.pop_front() else { return };
        let (mut entries, mut tip) = (Vec::new(), Arc::clone(self.servers[server].tip()));
        for change in &order.changes {
            tip = tip.then(*change, self.chance.nonce());
            entries.push(Arc::clone(&tip));
        }
        let flight = Flight { order, entries };
        self.servers[server].flight = Some(flight.clone());
        if let Some(standby) = self.servers[server].standby {
            let at = self.now + self.chance.between(50, 500);
            self.put(at, Event::Server(standby, ServerEvent::Shipped(flight, server)));
        }
        if self.flaw == Some(Flaw::CommitsWithoutStandby) {
            self.settle(server);
        }
    }

    /// It is committed: everybody sees it, and who ordered it is told.
    fn settle(&mut self, server: usize) {
        let Some(flight) = self.servers[server].flight.take() else { return };
        self.servers[server].take(&flight);
        let (node, run, number) = (flight.order.node, flight.order.run, flight.order.number);
        let position = self.servers[server].tip().position;
        let at = self.now + self.chance.between(50, 400);
        self.put(at, Event::Node(node, run, NodeEvent::Committed { number, position }));
        if !flight.entries.is_empty() {
            for other in 0..self.nodes.len() {
                let at = self.now + self.chance.between(1_000, 20_000);
                let run = self.nodes[other].run;
                self.put(at, Event::Node(other, run, NodeEvent::Look));
            }
        }
        self.next_order(server);
    }

    /// A server that was cut off begins anew: what waited for the standby is there, and nobody was told so.
    pub(crate) fn restart_server(&mut self, server: usize) {
        if let Some(flight) = self.servers[server].flight.take() {
            self.servers[server].take(&flight);
            // Who has read it is closed until somebody looks after it: that is no other history to go on from.
            self.judge.healthy_from = Tick::MAX;
        }
        self.servers[server].queue.clear();
        self.servers[server].is_stray = true;
    }
}
