//! A gate elsewhere: the shell of `keygate gate` in this world. What it makes of what it hears is the real thing.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use keygate_gate::{
    Filling,
    follow::{Course, Past, Place, Taken, Why},
    lease::Proof,
    wire::{Frame, Frames, Head, Stage},
};
use keygate_model::{
    Batch, Position, Timestamp,
    enforce::{Echo, Nonce, Session},
};

use crate::{
    chance::Chance,
    flaw::Flaw,
    node::{NodeEvent, Told},
    truth::Entry,
    world::{Body, Event, LEASE, MILLI, NODES, SECOND, Tick, World},
};

/// How long a node may be silent, as the follower has it.
pub(crate) const SILENCE_MAX: Tick = 5 * SECOND;

/// How old a state on disk may be.
const AGE_MAX: i64 = 3600;

pub(crate) struct Remote {
    pub(crate) body: Body,
    pub(crate) run: u32,
    course: Course,
    frames: Frames,
    conn: Option<Conn>,
    conns: u64,
    turn: usize,
    failures: usize,
    heard_at: Tick,
    renewing: Option<Nonce>,
    owes: bool,
    /// What it holds, as the judge knows it.
    pub(crate) tip: Option<Arc<Entry>>,
    /// The last that it has applied, also in a run before, as long as it remembers.
    pub(crate) last: Option<Arc<Entry>>,
    /// The epoch of it.
    pub(crate) epoch: u64,
    /// The tokens whose end it has heard of, for as long as it remembers anything.
    pub(crate) ended: BTreeSet<usize>,
    disk: Disk,
    old_disk: Disk,
}

/// The connection to a node.
struct Conn {
    number: u64,
    node: usize,
    /// The run of the node that it was made to.
    node_run: u32,
    told: Told,
    begun: bool,
    epoch: u64,
}

/// What outlasts a run.
#[derive(Clone, Default)]
struct Disk {
    kept: Option<Kept>,
    past: Past,
    ended: BTreeSet<usize>,
    last: Option<Arc<Entry>>,
}

#[derive(Clone)]
struct Kept {
    frames: Bytes,
    place: Place,
    tip: Arc<Entry>,
    at: Timestamp,
}

#[derive(Debug)]
pub(crate) enum RemoteEvent {
    /// The next node is to be tried.
    Try,
    Bytes {
        node: usize,
        conn: u64,
        bytes: Bytes,
    },
    Refused {
        node: usize,
        conn: u64,
    },
    Closed {
        node: usize,
        conn: u64,
    },
    /// Has anything been heard?
    Silence {
        conn: u64,
    },
    Renew {
        conn: u64,
    },
    RenewFailed {
        nonce: Nonce,
    },
    Echo {
        node: usize,
        conn: u64,
        echo: Echo,
    },
    /// What is known is written to disk: the position, or all of it.
    Note {
        all: bool,
    },
}

impl RemoteEvent {
    /// The node it comes from.
    pub(crate) fn comes_from(&self) -> Option<usize> {
        match self {
            Self::Bytes { node, .. }
            | Self::Refused { node, .. }
            | Self::Closed { node, .. }
            | Self::Echo { node, .. } => Some(*node),
            _ => None,
        }
    }
}

impl Remote {
    pub(crate) fn new(chance: &mut Chance, turn: usize) -> Self {
        let body = Body::new(chance);
        Self {
            course: Course::new(Arc::clone(&body.gate), Session(chance.nonce())),
            body,
            run: 0,
            frames: Frames::default(),
            conn: None,
            conns: 0,
            turn,
            failures: 0,
            heard_at: 0,
            renewing: None,
            owes: false,
            tip: None,
            last: None,
            epoch: 0,
            ended: BTreeSet::new(),
            disk: Disk::default(),
            old_disk: Disk::default(),
        }
    }
}

impl World {
    /// Begins a run of a gate, by what is on its disk.
    pub(crate) fn start_remote(&mut self, number: usize) {
        let session = Session(self.chance.nonce());
        // Nothing, what was there long ago, or what was there last.
        let disk = match self.chance.below(5) {
            0 => Disk::default(),
            1 => self.remotes[number].old_disk.clone(),
            2 => {
                Disk { kept: self.remotes[number].old_disk.kept.clone(), ..self.remotes[number].disk.clone() }
            }
            _ => self.remotes[number].disk.clone(),
        };
        let now = self.now;
        let remote = &mut self.remotes[number];
        remote.body.up = true;
        if self.flaw != Some(Flaw::KeepsLease) {
            remote.body.begin_anew();
        }
        remote.body.uptime(now);
        remote.run += 1;
        remote.course = Course::new(Arc::clone(&remote.body.gate), session);
        (remote.frames, remote.conn, remote.renewing, remote.owes) = (Frames::default(), None, None, false);
        (remote.tip, remote.failures) = (None, 0);
        remote.ended.clone_from(&disk.ended);
        remote.last.clone_from(&disk.last);
        let high = disk.past.high;
        remote.epoch = high.0;
        let wall = remote.body.wall(now);
        let kept = disk.kept.clone().filter(|kept| {
            let age = wall.seconds() - kept.at.seconds();
            (kept.place.epoch, kept.place.position) >= high && (-60..AGE_MAX).contains(&age)
        });
        remote.tip = kept.as_ref().map(|kept| Arc::clone(&kept.tip));
        let kept = kept.map(|kept| (filled(&remote.body, &kept), kept.place));
        if let Some((_, place)) = &kept {
            remote.epoch = place.epoch;
        }
        let trusts = self.flaw == Some(Flaw::TrustsWhatItKept) && kept.is_some();
        remote.course.begin_with(kept, disk.past.clone());
        if trusts {
            let proof = Proof { sent: remote.body.uptime(now), granted: LEASE };
            remote.body.gate.open();
            remote.body.gate.lease().renew(proof);
        }
        remote.disk = disk;
        self.put_remote(number, 0, RemoteEvent::Try);
        self.put_remote(number, SECOND, RemoteEvent::Note { all: false });
    }

    pub(crate) fn put_remote(&mut self, remote: usize, after: Tick, event: RemoteEvent) {
        let (at, run) = (self.now + after, self.remotes[remote].run);
        self.put(at, Event::Remote(remote, run, event));
    }

    pub(crate) fn at_remote(&mut self, number: usize, event: RemoteEvent) {
        let now = self.now;
        self.remotes[number].body.uptime(now);
        let conn_is = |conn: u64| self.remotes[number].conn.as_ref().is_some_and(|open| open.number == conn);
        match event {
            RemoteEvent::Try => self.try_next(number),
            RemoteEvent::Bytes { conn, bytes, .. } if conn_is(conn) => self.read(number, &bytes),
            RemoteEvent::Refused { conn, .. } if conn_is(conn) => {
                self.leave(number, &Why::Refused { status: 409, code: "epoch_regression".to_owned() });
            }
            RemoteEvent::Closed { conn, .. } if conn_is(conn) => {
                self.leave(number, &Why::Ended("without a word".to_owned()));
            }
            RemoteEvent::Silence { conn } if conn_is(conn) => {
                let until = self.remotes[number].heard_at + SILENCE_MAX;
                if until <= now {
                    self.leave(number, &Why::Silent);
                } else {
                    self.put_remote(number, until - now, RemoteEvent::Silence { conn });
                }
            }
            RemoteEvent::Renew { conn } if conn_is(conn) => self.renew(number),
            RemoteEvent::RenewFailed { nonce } if self.remotes[number].renewing == Some(nonce) => {
                self.renewed(number);
            }
            RemoteEvent::Echo { conn, echo, .. } if conn_is(conn) => self.take_echo(number, &echo),
            RemoteEvent::Note { all } => self.note(number, all),
            _ => {}
        }
    }

    fn try_next(&mut self, number: usize) {
        let remote = &mut self.remotes[number];
        let node = remote.turn % NODES;
        remote.conns += 1;
        remote.heard_at = self.now;
        remote.frames = Frames::default();
        let (conn, run, mut path) = (remote.conns, remote.run, remote.course.path());
        if self.flaw == Some(Flaw::HidesPast) && path.ends_with("anew=true") {
            path = "/feed".to_owned();
        }
        let (told, node_run) = (self.told_by(node), self.nodes[node].run);
        self.remotes[number].conn = Some(Conn { number: conn, node, node_run, told, begun: false, epoch: 0 });
        if !self.nodes[node].body.up {
            return self.put_remote(number, MILLI, RemoteEvent::Closed { node, conn });
        }
        let after = self.delay(number, node);
        self.put_node(node, after, NodeEvent::Connect { remote: number, run, conn, path });
        self.put_remote(number, SILENCE_MAX, RemoteEvent::Silence { conn });
    }

    /// Goes to the next node.
    fn leave(&mut self, number: usize, why: &Why) {
        self.say(|| format!("{number}: {why}"));
        let remote = &mut self.remotes[number];
        let Some(conn) = remote.conn.take() else { return };
        remote.course.ended(why);
        if self.flaw == Some(Flaw::ForgetsHigh) {
            remote.course = Course::new(Arc::clone(&remote.body.gate), Session(self.chance.nonce()));
        }
        (remote.renewing, remote.owes) = (None, false);
        remote.turn += 1;
        remote.failures += 1;
        let (failures, after) = (remote.failures, self.delay(number, conn.node));
        self.put_node(conn.node, after, NodeEvent::Hangup { remote: number, conn: conn.number });
        let pause = match failures.is_multiple_of(NODES) {
            true => ((100 * MILLI) << (failures / NODES - 1).min(6)).min(5 * SECOND),
            false => 0,
        };
        let after = pause / 2 + self.chance.below(pause / 2 + 1);
        self.put_remote(number, after, RemoteEvent::Try);
    }

    fn read(&mut self, number: usize, bytes: &Bytes) {
        let remote = &mut self.remotes[number];
        remote.heard_at = self.now;
        remote.frames.push(bytes);
        loop {
            let frame = match self.remotes[number].frames.frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(bad) => return self.leave(number, &Why::Bad(bad)),
            };
            if let Err(why) = self.take_frame(number, frame) {
                return self.leave(number, &why);
            }
        }
    }

    fn take_frame(&mut self, number: usize, mut frame: Frame) -> Result<(), Why> {
        let remote = &mut self.remotes[number];
        let Some(conn) = &mut remote.conn else { return Err(Why::Silent) };
        if !conn.begun {
            let Frame::Hello(hello) = &frame else { return Err(Why::Unexpected) };
            remote.course.begin(hello)?;
            (conn.begun, conn.epoch, remote.failures) = (true, hello.epoch, 0);
            let conn = conn.number;
            self.put_remote(number, 0, RemoteEvent::Renew { conn });
            return Ok(());
        }
        if self.flaw == Some(Flaw::AppliesGaps) {
            fill_gap(&mut frame, remote.body.gate.position().0);
        }
        match remote.course.take(frame)? {
            Taken::Nothing => return Ok(()),
            Taken::Replaced(retired) => drop(retired),
            Taken::Applied => {}
        }
        let position = remote.body.gate.position().0;
        let tip = conn.told.borrow().get(&position).cloned();
        if conn.epoch != remote.epoch {
            (remote.epoch, remote.ended, remote.last) = (conn.epoch, BTreeSet::new(), None);
        }
        if let Some(tip) = tip {
            let is_kept = remote.last.as_ref().is_some_and(|last| self.judge.is_undone(last, &tip));
            if !is_kept {
                remote.last = Some(Arc::clone(&tip));
            }
            remote.ended.extend((0..crate::truth::TOKENS).filter(|token| tip.state.is_revoked(*token)));
            remote.tip = Some(tip);
        }
        let conn = conn.number;
        if remote.renewing.is_some() {
            remote.owes = true;
        } else {
            self.put_remote(number, 2 * MILLI, RemoteEvent::Renew { conn });
        }
        Ok(())
    }

    fn renew(&mut self, number: usize) {
        let nonce = Nonce(self.chance.nonce());
        let remote = &mut self.remotes[number];
        let (Some(conn), None) = (&remote.conn, remote.renewing) else { return };
        // With HTTP/1.1 heartbeats have a connection of their own, to whoever is there.
        let node_run = if number == 2 { self.nodes[conn.node].run } else { conn.node_run };
        let (node, conn, run) = (conn.node, conn.number, remote.run);
        let now = remote.body.uptime(self.now);
        let mut heartbeat = remote.course.heartbeat(nonce, now);
        if self.flaw == Some(Flaw::ConfirmsTooMuch) {
            heartbeat.applied = Position(self.servers[self.primary].tip().position);
        }
        remote.renewing = Some(nonce);
        let copies = if self.chaos > self.now { self.chance.below(3) } else { 1 };
        for _ in 0..copies {
            let after = self.delay(number, node);
            let event = NodeEvent::Heartbeat { remote: number, run, conn, heartbeat };
            self.put(self.now + after, Event::Node(node, node_run, event));
        }
        self.put_remote(number, SILENCE_MAX, RemoteEvent::RenewFailed { nonce });
    }

    fn take_echo(&mut self, number: usize, echo: &Echo) {
        let remote = &mut self.remotes[number];
        let position = match self.flaw {
            Some(Flaw::CountsUnapplied) => echo.position.min(remote.body.gate.position()),
            _ => echo.position,
        };
        let told = Echo { position, ..*echo };
        let counted = remote.course.echoed(&told).is_ok();
        if counted && self.flaw == Some(Flaw::CountsFromReceipt) {
            let sent = remote.body.uptime(self.now);
            remote.body.gate.lease().renew(Proof { sent, granted: echo.granted });
        }
        if remote.renewing == Some(echo.nonce) {
            self.renewed(number);
        }
    }

    /// The next heartbeat is sent in its time, or soon where there is more to tell.
    fn renewed(&mut self, number: usize) {
        let remote = &mut self.remotes[number];
        remote.renewing = None;
        let after = if std::mem::take(&mut remote.owes) { 2 * MILLI } else { SECOND };
        if let Some(conn) = remote.conn.as_ref().map(|conn| conn.number) {
            self.put_remote(number, after, RemoteEvent::Renew { conn });
        }
    }

    /// Writes what is known to disk: where it is each second, and all of it now and then.
    fn note(&mut self, number: usize, all: bool) {
        let now = self.now;
        let remote = &mut self.remotes[number];
        remote.disk.past = remote.course.past().clone();
        remote.disk.ended.clone_from(&remote.ended);
        remote.disk.last.clone_from(&remote.last);
        if all {
            remote.old_disk = remote.disk.clone();
            let place = remote.course.place().cloned().filter(|_| remote.body.gate.is_open());
            let tip = place.as_ref().and_then(|place| ancestor(remote.tip.as_ref()?, place.position.0));
            if let (Some(place), Some(tip)) = (place, tip) {
                remote.disk.kept = Some(kept(&remote.body, place, tip, now));
            }
        }
        let all = self.chance.once_in(4);
        self.put_remote(number, SECOND, RemoteEvent::Note { all });
    }

    /// A gate is gone.
    pub(crate) fn stop_remote(&mut self, number: usize) {
        let remote = &mut self.remotes[number];
        remote.body.up = false;
        if let Some(conn) = remote.conn.take() {
            self.put_node(conn.node, MILLI, NodeEvent::Hangup { remote: number, conn: conn.number });
        }
    }
}

/// What a gate holds as it is written to disk; it may be ahead of the place it goes on from.
fn kept(body: &Body, place: Place, tip: Arc<Entry>, now: Tick) -> Kept {
    let mut records = Vec::new();
    body.gate.export(|record| records.push(record));
    let count = u32::try_from(records.len()).expect("few");
    let head = Head { after: 0, position: place.position.0, complete: true, count };
    let frames = Frame::Records(Stage::Snapshot, head, records).encode();
    Kept { frames, place, tip, at: body.wall(now) }
}

fn filled(body: &Body, kept: &Kept) -> Filling {
    let (mut frames, filling) = (Frames::default(), body.gate.filling(0));
    frames.push(&kept.frames);
    let Ok(Some(Frame::Records(_, head, records))) = frames.frame() else { panic!("it was written here") };
    filling.apply(Batch { position: Position(head.position), records });
    filling
}

fn ancestor(tip: &Arc<Entry>, position: i64) -> Option<Arc<Entry>> {
    std::iter::successors(Some(tip), |entry| entry.before()).find(|entry| entry.position == position).cloned()
}

/// Makes what does not follow look as if it did.
fn fill_gap(frame: &mut Frame, held: i64) {
    match frame {
        Frame::Records(Stage::Tail, head, _) => head.after = head.after.min(held),
        Frame::Beat(beat) => beat.position = beat.position.min(held),
        _ => {}
    }
}
