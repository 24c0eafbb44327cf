//! A line between a gate and a node that can be cut, held and slowed in each direction, and knows which heartbeats were
//! answered.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use crate::clock::moment;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// They wait, and come in a burst when the line passes them again.
    Hold,
    /// One each second.
    Trickle,
}

const MODES: [Mode; 3] = [Mode::Pass, Mode::Hold, Mode::Trickle];

/// The line. Its threads end with the test.
pub(crate) struct Relay {
    pub(crate) at: SocketAddr,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    /// From the gate to the node.
    up: AtomicU8,
    /// And back.
    down: AtomicU8,
    /// When the last heartbeat was sent whose echo was passed on.
    acked: Mutex<Option<Instant>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    pub(crate) fn to(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (at, line) = (listener.local_addr().unwrap(), Arc::new(Line::default()));
        let kept = Arc::clone(&line);
        thread::spawn(move || {
            for gate in listener.incoming().map_while(Result::ok) {
                // A gate whose node is gone is hung up on.
                let Ok(node) = TcpStream::connect(node) else { continue };
                for stream in [&gate, &node] {
                    stream.set_nodelay(true).unwrap();
                    kept.open.lock().unwrap().push(stream.try_clone().unwrap());
                }
                let seen = Arc::new(Mutex::new(Seen::default()));
                let back = (node.try_clone().unwrap(), gate.try_clone().unwrap());
                Pump { line: Arc::clone(&kept), seen: Arc::clone(&seen), up: true }.start(gate, node);
                Pump { line: Arc::clone(&kept), seen, up: false }.start(back.0, back.1);
            }
        });
        Self { at, line }
    }

    /// What becomes of bytes from the gate, and of those to it, from now on.
    pub(crate) fn set(&self, up: Mode, down: Mode) {
        let place = |mode| MODES.iter().position(|other| *other == mode).unwrap() as u8;
        self.line.up.store(place(up), Ordering::SeqCst);
        self.line.down.store(place(down), Ordering::SeqCst);
    }

    /// Ends all connections, with what waits in them.
    pub(crate) fn drop_all(&self) {
        for stream in self.line.open.lock().unwrap().drain(..) {
            // One that has ended is not there any more.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// For whoever asks when the last heartbeat was sent whose echo was passed on: not after this.
    pub(crate) fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.line))
    }
}

/// Knows which heartbeats were answered.
pub(crate) struct Handle(Arc<Line>);

impl Handle {
    pub(crate) fn acked(&self) -> Option<Instant> {
        *self.0.acked.lock().unwrap()
    }
}

/// The heartbeats of one connection, by their streams of HTTP/2.
#[derive(Default)]
struct Seen {
    sent: HashMap<u32, Instant>,
    granted: Vec<u32>,
}

/// Moves bytes one way.
struct Pump {
    line: Arc<Line>,
    seen: Arc<Mutex<Seen>>,
    up: bool,
}

impl Pump {
    fn start(self, mut from: TcpStream, to: TcpStream) {
        let (read, waiting) = channel::<(Vec<u8>, Instant)>();
        thread::spawn(move || {
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(len @ 1..) = from.read(&mut chunk) {
                if read.send((chunk[..len].to_vec(), moment())).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || self.pass_on(&waiting, to));
    }

    fn pass_on(self, waiting: &Receiver<(Vec<u8>, Instant)>, mut to: TcpStream) {
        let mut frames = Frames { skip: if self.up { PREFACE } else { 0 }, bytes: Vec::new() };
        for (chunk, read) in waiting {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let len = match self.mode() {
                    Mode::Pass => rest.len(),
                    Mode::Hold => {
                        thread::sleep(Duration::from_millis(1));
                        continue;
                    }
                    Mode::Trickle => {
                        thread::sleep(Duration::from_secs(1));
                        1
                    }
                };
                let (now, later) = rest.split_at(len);
                // Before the gate can make anything of it.
                frames.push(now).into_iter().for_each(|frame| self.note(&frame, read));
                if to.write_all(now).is_err() {
                    return;
                }
                rest = later;
            }
        }
        drop(to.shutdown(Shutdown::Write));
    }

    fn mode(&self) -> Mode {
        let mode = if self.up { &self.line.up } else { &self.line.down };
        MODES[usize::from(mode.load(Ordering::SeqCst))]
    }

    fn note(&self, frame: &Frame, read: Instant) {
        const DATA: u8 = 0;
        const HEADERS: u8 = 1;
        let mut seen = self.seen.lock().unwrap();
        match (self.up, frame.kind, frame.ends) {
            // The feed is asked for without a body, a heartbeat has one.
            (true, HEADERS, false) => drop(seen.sent.insert(frame.stream, read)),
            (false, HEADERS, false) if frame.first == Some(STATUS_200) => seen.granted.push(frame.stream),
            (false, DATA, true) if seen.granted.contains(&frame.stream) => {
                let sent = seen.sent.get(&frame.stream).copied();
                let mut acked = self.line.acked.lock().unwrap();
                *acked = (*acked).max(sent);
            }
            _ => {}
        }
    }
}

/// What a client says first (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// `:status: 200`, as everybody writes it (RFC 7541, appendix A).
const STATUS_200: u8 = 0x88;

/// Reads the frames of HTTP/2 along.
struct Frames {
    skip: usize,
    bytes: Vec<u8>,
}

struct Frame {
    kind: u8,
    ends: bool,
    stream: u32,
    first: Option<u8>,
}

impl Frames {
    fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.bytes.extend_from_slice(&bytes[skipped..]);
        let mut frames = Vec::new();
        while let Some((&[a, b, c, kind, flags, s, t, u, v], rest)) = self.bytes.split_first_chunk::<9>() {
            let len = u32::from_be_bytes([0, a, b, c]) as usize;
            if rest.len() < len {
                break;
            }
            let stream = u32::from_be_bytes([s, t, u, v]);
            frames.push(Frame { kind, ends: flags & 1 == 1, stream, first: rest[..len].first().copied() });
            self.bytes.drain(..9 + len);
        }
        frames
    }
}
