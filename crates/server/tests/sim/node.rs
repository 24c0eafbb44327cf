//! A node: the shell of `keygate serve` in this world. What it tells gates goes through the ring of the real one, what it
//! knows of gates is the real book, and its own gate has a lease like any other.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc};

use bytes::Bytes;
use keygate_authority::gates::{About, Beat};
use keygate_gate::{lease::Heartbeats, wire};
use keygate_model::{
    Batch, CustomerId, Position, Record, Subject, Timestamp,
    enforce::{Drift, Echo, Enforcement, Epoch, Gates, Heartbeat, Nonce, Session},
};
use keygate_server::feed::{Reader, Teller, View};

use crate::{
    chance::Chance,
    flaw::Flaw,
    record::{Order, ServerEvent},
    truth::{Change, Entry},
    world::{Body, Event, LEASE, MILLI, RemoteEvent, SECOND, Tick, World, own_policy},
};

/// Which entry was told at which position.
pub(crate) type Told = Rc<RefCell<BTreeMap<i64, Arc<Entry>>>>;

pub(crate) struct Node {
    pub(crate) body: Body,
    pub(crate) run: u32,
    pub(crate) epoch: u64,
    teller: Teller,
    /// What the feed has told.
    pub(crate) tip: Arc<Entry>,
    told: Told,
    streams: Vec<Stream>,
    snapshot: Option<(Tick, u64, Vec<Bytes>, Arc<Entry>)>,
    /// The databases that it writes to and reads from: connections are found again one by one.
    pub(crate) writer: usize,
    pub(crate) reader: usize,
    changes: Vec<Job>,
    beats: Vec<(Beat, Reply)>,
    flight: Option<Flight>,
    orders: u64,
    book: Gates,
    own: Heartbeats,
    session: Session,
    last: Nonce,
    turn: u64,
    is_beating: bool,
    receipts: Vec<Receipt>,
    is_looking: bool,
}

/// What was ordered of the database, by its number, and who waits for it.
type Flight = (u64, Vec<Job>, Vec<(Beat, Reply)>);

/// A gate that follows.
struct Stream {
    remote: usize,
    run: u32,
    conn: u64,
    reader: Reader,
    last: Tick,
    /// A frame that comes out of turn.
    late: Option<Bytes>,
}

/// A change that somebody waits for, with a receipt or without.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) change: Change,
    pub(crate) enforced: bool,
}

/// Whose heartbeat it was.
enum Reply {
    Own,
    /// A gate's elsewhere: which, its run, and its connection.
    Remote((usize, u32, u64)),
}

struct Receipt {
    entry: Arc<Entry>,
    committed: keygate_model::Uptime,
    until: Tick,
}

#[derive(Debug)]
pub(crate) enum NodeEvent {
    /// The database may have more.
    Look,
    /// A heartbeat of the feed is due: every second, or because something was told.
    Beat {
        again: bool,
    },
    /// Heartbeats of gates are to be committed.
    Enforce {
        turn: u64,
    },
    Committed {
        number: u64,
        position: i64,
    },
    Connect {
        remote: usize,
        run: u32,
        conn: u64,
        path: String,
    },
    Heartbeat {
        remote: usize,
        run: u32,
        conn: u64,
        heartbeat: Heartbeat,
    },
    Hangup {
        remote: usize,
        conn: u64,
    },
    Change(Job),
    Receipts {
        again: bool,
    },
    /// A connection to the database is made again.
    Moves {
        writer: bool,
        server: usize,
    },
}

impl Node {
    pub(crate) fn new(chance: &mut Chance) -> Self {
        let session = Session(chance.nonce());
        Self {
            body: Body::new(chance),
            run: 0,
            epoch: 1,
            teller: Teller::new(own_policy()),
            tip: Entry::first(),
            told: Told::default(),
            streams: Vec::new(),
            snapshot: None,
            writer: 0,
            reader: 0,
            changes: Vec::new(),
            beats: Vec::new(),
            flight: None,
            orders: 0,
            book: Gates::complete(Drift::DEFAULT),
            own: Heartbeats::new(session, Epoch(1)),
            session,
            last: Nonce(0),
            turn: 0,
            is_beating: false,
            receipts: Vec::new(),
            is_looking: false,
        }
    }
}

impl World {
    /// Begins a run of a node on the present primary.
    pub(crate) fn start_node(&mut self, number: usize) {
        let server = self.primary;
        let (session, tip) = (Session(self.chance.nonce()), Arc::clone(self.servers[server].tip()));
        let epoch = self.servers[server].epoch;
        let node = &mut self.nodes[number];
        node.body.up = true;
        node.body.begin_anew();
        node.run += 1;
        (node.writer, node.reader, node.epoch) = (server, server, epoch);
        node.teller = Teller::new(own_policy());
        (node.told, node.streams, node.snapshot) = (Told::default(), Vec::new(), None);
        (node.changes, node.beats, node.flight) = (Vec::new(), Vec::new(), None);
        node.book = Gates::complete(Drift::DEFAULT);
        (node.own, node.session, node.last) = (Heartbeats::new(session, Epoch(epoch)), session, Nonce(0));
        (node.is_beating, node.receipts, node.is_looking) = (false, Vec::new(), false);
        node.tip = tip;
        let batch = Batch { position: Position(node.tip.position), records: node.tip.state.records() };
        node.tell(batch);
        node.body.gate.open();
        self.put_node(number, 0, NodeEvent::Enforce { turn: self.nodes[number].turn });
        self.put_node(number, SECOND, NodeEvent::Beat { again: true });
    }

    pub(crate) fn put_node(&mut self, node: usize, after: Tick, event: NodeEvent) {
        let (at, run) = (self.now + after, self.nodes[node].run);
        self.put(at, Event::Node(node, run, event));
    }

    pub(crate) fn at_node(&mut self, number: usize, event: NodeEvent) {
        let now = self.now;
        self.nodes[number].body.uptime(now);
        match event {
            NodeEvent::Look => self.look(number),
            NodeEvent::Beat { again } => {
                self.say_beat(number);
                if again {
                    self.put_node(number, SECOND, NodeEvent::Beat { again: true });
                }
            }
            NodeEvent::Enforce { turn } => self.enforce(number, turn),
            NodeEvent::Committed { number: order, position } => self.committed(number, order, position),
            NodeEvent::Connect { remote, run, conn, path } => {
                self.connect(number, (remote, run, conn), &path)
            }
            NodeEvent::Heartbeat { remote, run, conn, heartbeat } => {
                self.hear(number, (remote, run, conn), heartbeat);
            }
            NodeEvent::Hangup { remote, conn } => {
                let streams = &mut self.nodes[number].streams;
                if let Some(place) = streams.iter().position(|s| (s.remote, s.conn) == (remote, conn)) {
                    streams.remove(place);
                    self.nodes[number].teller.ring().leave(view(remote));
                }
            }
            NodeEvent::Change(job) => {
                self.nodes[number].changes.push(job);
                self.order(number);
            }
            NodeEvent::Receipts { again } => self.look_at_receipts(number, again),
            NodeEvent::Moves { writer, server } => self.moves(number, writer, server),
        }
    }

    /// Reads what is new, and tells it: as the feed of the authority does.
    fn look(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let server = &self.servers[node.writer];
        if !server.holds(&node.tip) {
            // It does not go on from what was told: nothing is known any more.
            let records = vec![Record::Broken(Subject::None)];
            node.tell(Batch { position: Position(node.tip.position), records });
            return self.pump(number);
        }
        if server.tip().position == node.tip.position {
            return;
        }
        let from = usize::try_from(node.tip.position).expect("a position");
        let tip = Arc::clone(server.tip());
        let mut records: Vec<_> =
            server.chain[from..].iter().filter_map(|entry| tip.state.about(entry.change)).collect();
        if self.flaw == Some(Flaw::LeavesOut) && records.len() > 1 {
            records.remove(0);
        }
        node.tip = tip;
        node.tell(Batch { position: Position(node.tip.position), records });
        let after = self.chance.between(100, 2 * MILLI);
        self.put_node(number, after, NodeEvent::Beat { again: false });
        let after = self.chance.between(0, 20 * MILLI);
        let turn = self.nodes[number].turn;
        self.put_node(number, after, NodeEvent::Enforce { turn });
        self.pump(number);
    }

    /// Says that nothing was left out.
    fn say_beat(&mut self, number: usize) {
        let node = &self.nodes[number];
        let mut ring = node.teller.ring();
        let position = ring.last();
        if !ring.is_followed() || !node.body.gate.is_open() || self.lines[number] > self.now {
            return;
        }
        let Some(entry) = self.servers[node.reader].at(position.0) else { return };
        ring.push_beat(&wire::Beat { position: position.0, hash: entry.hash.to_vec() });
        drop(ring);
        self.pump(number);
    }

    /// Sends every follower what it was not sent yet.
    fn pump(&mut self, number: usize) {
        let mut streams = std::mem::take(&mut self.nodes[number].streams);
        for stream in &mut streams {
            while let Ok(Some(frame)) = stream.reader.frame(&self.nodes[number].teller) {
                self.send_frame(number, stream, frame);
            }
        }
        self.nodes[number].streams = streams;
    }

    fn send_frame(&mut self, number: usize, stream: &mut Stream, frame: Bytes) {
        // Snapshots are not sent by anything that could do such things.
        let wild = self.chaos > self.now && matches!(frame[4], 3 | 4);
        match self.chance.below(if wild { 12 } else { u64::MAX }) {
            0 if wild => return,
            1 if wild => self.send(number, stream, &frame),
            2 if wild => {
                stream.late = Some(frame);
                return;
            }
            _ => {}
        }
        self.send(number, stream, &frame);
        if let Some(late) = stream.late.take() {
            self.send(number, stream, &late);
        }
    }

    /// In one piece or several, and in order.
    fn send(&mut self, number: usize, stream: &mut Stream, frame: &Bytes) {
        let pieces = if self.chance.once_in(8) { 3 } else { 1 };
        for piece in frame.chunks(frame.len().div_ceil(pieces)) {
            stream.last = stream.last.max(self.now + self.delay(stream.remote, number));
            let (conn, bytes) = (stream.conn, frame.slice_ref(piece));
            let event = RemoteEvent::Bytes { node: number, conn, bytes };
            self.put(stream.last, Event::Remote(stream.remote, stream.run, event));
        }
    }

    /// Somebody wants to follow.
    fn connect(&mut self, number: usize, (remote, run, conn): (usize, u32, u64), path: &str) {
        let node = &mut self.nodes[number];
        let server = &self.servers[node.reader];
        let resumed = match asked(path) {
            None => Ok(None),
            Some((_, _, epoch, _)) if epoch < node.epoch => Ok(None),
            Some((from, hash, epoch, anew)) if epoch == node.epoch => match server.at(from) {
                Some(entry) if hash == hex(&entry.hash) => Ok((!anew).then_some(Position(from))),
                _ => Err(()),
            },
            Some(_) => Err(()),
        };
        let Ok(resumed) = resumed else {
            let after = self.delay(remote, number);
            return self.put(
                self.now + after,
                Event::Remote(remote, run, RemoteEvent::Refused { node: number, conn }),
            );
        };
        let mut ring = node.teller.ring();
        let (end, last) = (ring.enter(view(remote)), ring.last());
        let next = resumed.and_then(|held| Some((ring.after(held)?, held)));
        drop(ring);
        let hello = wire::Hello {
            version: wire::VERSION,
            oldest: wire::VERSION,
            epoch: node.epoch,
            position: last.0,
            snapshot: next.is_none(),
            ..wire::Hello::default()
        };
        let mut frames = vec![wire::Frame::Hello(hello).encode()];
        let reader = match next {
            Some((next, held)) => Reader::new(view(remote), next, held),
            None => {
                let fresh = node.snapshot.as_ref().filter(|(at, ..)| self.now < at + 5 * SECOND);
                let reuse = self.chance.once_in(2);
                let (next, told, entry) = match fresh.filter(|_| reuse) {
                    Some((_, next, frames, entry)) => (*next, frames.clone(), Arc::clone(entry)),
                    None => {
                        let entry = Arc::clone(server.tip());
                        (end, snapshot(&entry), entry)
                    }
                };
                node.told.borrow_mut().insert(entry.position, Arc::clone(&entry));
                node.snapshot = Some((self.now, next, told.clone(), Arc::clone(&entry)));
                frames.extend(told);
                Reader::new(view(remote), next, Position(entry.position))
            }
        };
        let mut stream = Stream { remote, run, conn, reader, last: 0, late: None };
        for frame in frames {
            self.send(number, &mut stream, &frame);
        }
        self.nodes[number].streams.push(stream);
        self.put_node(number, 100, NodeEvent::Beat { again: false });
        self.pump(number);
    }

    pub(crate) fn told_by(&self, node: usize) -> Told {
        Rc::clone(&self.nodes[node].told)
    }

    /// Takes a heartbeat of a gate elsewhere.
    fn hear(&mut self, number: usize, from: (usize, u32, u64), heartbeat: Heartbeat) {
        let now = self.nodes[number].body.uptime(self.now);
        let node = &mut self.nodes[number];
        if heartbeat.epoch.0 != node.epoch {
            return;
        }
        let beat = Beat { heartbeat, name: format!("gate {}", from.0), granted: LEASE, about: nobody() };
        node.book.heard(&beat.heartbeat, &beat.name, LEASE, now).expect("room");
        let position = node.tip.position;
        node.beats.push((beat.clone(), Reply::Remote(from)));
        if self.flaw == Some(Flaw::EchoesWithoutCommit) {
            self.echo(number, from, &beat, position);
        }
        let turn = self.nodes[number].turn;
        self.put_node(number, 5 * MILLI, NodeEvent::Enforce { turn });
        self.put_node(number, 0, NodeEvent::Receipts { again: false });
    }

    /// Commits the heartbeats that wait, and the one of its own gate.
    fn enforce(&mut self, number: usize, turn: u64) {
        let nonce = Nonce(self.chance.nonce());
        let node = &mut self.nodes[number];
        if node.turn != turn || node.is_beating {
            return;
        }
        let now = node.body.uptime(self.now);
        let heartbeat = node.own.send(nonce, node.body.gate.position(), now);
        let beat = Beat { heartbeat, name: format!("node {number}"), granted: LEASE, about: nobody() };
        node.book.heard(&beat.heartbeat, &beat.name, LEASE, now).expect("room");
        node.last = nonce;
        node.beats.push((beat, Reply::Own));
        (node.is_beating, node.turn) = (true, turn + 1);
        self.order(number);
    }

    /// Sends what waits to the database, if nothing is under way.
    fn order(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        // Heartbeats go together, once they were collected.
        let beats = if node.is_beating { std::mem::take(&mut node.beats) } else { Vec::new() };
        if node.flight.is_some() || (beats.is_empty() && node.changes.is_empty()) {
            node.beats.extend(beats);
            return;
        }
        node.orders += 1;
        let changes = std::mem::take(&mut node.changes);
        let order = Order {
            node: number,
            run: node.run,
            number: u64::from(node.run) << 40 | node.orders << 8 | number as u64,
            changes: changes.iter().map(|job| job.change).collect(),
            beats: beats.iter().map(|(beat, _)| beat.clone()).collect(),
        };
        node.flight = Some((order.number, changes, beats));
        let (writer, at) = (node.writer, self.now + self.chance.between(50, 400));
        self.put(at, Event::Server(writer, ServerEvent::Ordered(order)));
    }

    /// What was ordered is done.
    fn committed(&mut self, number: usize, order: u64, position: i64) {
        if self.nodes[number].flight.as_ref().is_none_or(|(flight, ..)| *flight != order) {
            return;
        }
        let Some((_, changes, beats)) = self.nodes[number].flight.take() else { return };
        self.look(number);
        let now = self.nodes[number].body.uptime(self.now);
        // Heartbeats are taken before the changes of the same commit.
        let before = position - i64::try_from(changes.len()).expect("few");
        for (place, job) in (1..).zip(changes) {
            let entry = self.servers[self.nodes[number].writer].at(before + place).map(Arc::clone);
            let entry = entry.expect("what was committed");
            self.acked(&entry);
            if job.enforced {
                let until = self.now + 20 * SECOND;
                self.nodes[number].receipts.push(Receipt { entry, committed: now, until });
            }
        }
        for (beat, reply) in &beats {
            match reply {
                Reply::Own => {
                    let node = &mut self.nodes[number];
                    let echo = echo(beat, before);
                    let proofs = node.own.echoed(&echo, node.body.gate.position()).unwrap_or_default();
                    proofs.into_iter().for_each(|proof| node.body.gate.lease().renew(proof));
                    node.is_beating = false;
                }
                Reply::Remote(from) => self.echo(number, *from, beat, before),
            }
        }
        let node = &self.nodes[number];
        let (turn, soon) = (node.turn, !node.beats.is_empty());
        let has_more = beats.iter().any(|(beat, reply)| {
            matches!(reply, Reply::Own) && beat.heartbeat.applied != node.body.gate.position()
        });
        let after = if has_more || soon { 5 * MILLI } else { SECOND };
        self.put_node(number, after, NodeEvent::Enforce { turn });
        self.put_node(number, 0, NodeEvent::Receipts { again: false });
        self.order(number);
    }

    fn echo(&mut self, number: usize, (remote, run, conn): (usize, u32, u64), beat: &Beat, position: i64) {
        let copies = match self.chaos > self.now {
            true => self.chance.below(4),
            false => 1,
        };
        for _ in 0..copies {
            let echo = echo(beat, position);
            let at = self.now + self.delay(remote, number);
            self.put(at, Event::Remote(remote, run, RemoteEvent::Echo { node: number, conn, echo }));
        }
    }

    /// Looks whether receipts can be given.
    fn look_at_receipts(&mut self, number: usize, again: bool) {
        let node = &mut self.nodes[number];
        node.is_looking &= !again;
        if node.receipts.is_empty() {
            return;
        }
        let now = node.body.uptime(self.now);
        if node.last != Nonce(0) {
            let applied = node.body.gate.position();
            let heartbeat =
                Heartbeat { session: node.session, epoch: Epoch(node.epoch), nonce: node.last, applied };
            node.book.heard(&heartbeat, "own", LEASE, now).expect("room");
        }
        let server = &self.servers[node.reader];
        let reads_stale = self.flaw == Some(Flaw::ReadsStaleBeats);
        if self.flaw != Some(Flaw::ReadsNoBeats) {
            for beat in server.beats.values() {
                node.book.heard(&beat.heartbeat, &beat.name, beat.granted, now).expect("room");
            }
        }
        let mut given = Vec::new();
        node.receipts.retain(|receipt| {
            let position = Position(receipt.entry.position);
            // What the database does not know of may have been followed by heartbeats.
            if server.tip().position < position.0 && !reads_stale {
                return receipt.until > self.now;
            }
            let is_enforced = match node.book.enforced(position, receipt.committed, now) {
                Enforcement::Enforced(_) => true,
                Enforcement::Waiting { .. } => {
                    self.flaw == Some(Flaw::DoesNotWait) && receipt.until < self.now + 19 * SECOND
                }
            };
            if is_enforced {
                given.push(Arc::clone(&receipt.entry));
            }
            !is_enforced && receipt.until > self.now
        });
        if !node.receipts.is_empty() && !node.is_looking {
            node.is_looking = true;
            self.put_node(number, 300 * MILLI, NodeEvent::Receipts { again: true });
        }
        for entry in given {
            self.given(&entry);
        }
    }

    /// Connects to another database. What was under way has no outcome that anybody here will know.
    fn moves(&mut self, number: usize, writer: bool, server: usize) {
        let node = &mut self.nodes[number];
        if !writer {
            node.reader = server;
            return;
        }
        if self.servers[node.writer].is_stray {
            node.reader = server;
        }
        node.writer = server;
        node.flight = None;
        if node.is_beating {
            node.is_beating = false;
            node.beats.retain(|(_, reply)| matches!(reply, Reply::Remote(_)));
            let turn = node.turn;
            self.put_node(number, SECOND, NodeEvent::Enforce { turn });
        }
        self.look(number);
        self.order(number);
    }

    /// A node is gone, and with it its connections.
    pub(crate) fn stop_node(&mut self, number: usize, is_silent: bool) {
        self.nodes[number].body.up = false;
        for stream in std::mem::take(&mut self.nodes[number].streams) {
            if !is_silent {
                let event = RemoteEvent::Closed { node: number, conn: stream.conn };
                self.put(self.now + MILLI, Event::Remote(stream.remote, stream.run, event));
            }
        }
    }
}

impl Node {
    fn tell(&mut self, batch: Batch) {
        self.told.borrow_mut().insert(self.tip.position, Arc::clone(&self.tip));
        self.teller.tell(&self.body.gate, batch);
    }
}

/// The second gate elsewhere is the customer's, which there is only one of.
fn view(remote: usize) -> View {
    if remote == 1 { View::Customer(CustomerId::from_bits(1 << 100 | 1)) } else { View::All }
}

fn echo(beat: &Beat, position: i64) -> Echo {
    let Heartbeat { session, epoch, nonce, .. } = beat.heartbeat;
    Echo { session, epoch, nonce, position: Position(position), granted: beat.granted }
}

/// A snapshot in two parts and its end.
fn snapshot(entry: &Entry) -> Vec<Bytes> {
    let records = entry.state.records();
    let (first, second) = records.split_at(records.len() / 2);
    let part = |records: &[Record], complete| {
        let count = u32::try_from(records.len()).expect("few");
        let head = wire::Head { after: 0, position: entry.position, complete, count };
        wire::Frame::Records(wire::Stage::Snapshot, head, records.to_vec()).encode()
    };
    vec![part(first, false), part(second, false), part(&[], true)]
}

/// Where a gate has been: position, hash and epoch, and whether it wants everything anew.
fn asked(path: &str) -> Option<(i64, String, u64, bool)> {
    let (_, query) = path.split_once('?')?;
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    Some((
        value("from")?.parse().ok()?,
        value("hash")?,
        value("epoch")?.parse().ok()?,
        value("anew").is_some(),
    ))
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// What is told of gates in lists, which decides nothing.
fn nobody() -> About {
    About { customer: None, everybody: true, version: String::new(), heard_at: Timestamp::from_micros(0) }
}
