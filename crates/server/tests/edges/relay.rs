//! Between an edge and the gate: passes everything on, counts connections, and keeps what was asked.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{proxy::Kind, wire};

/// The relay. Its threads end with the test.
pub(crate) struct Relay {
    pub(crate) at: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    questions: Mutex<Vec<Vec<String>>>,
}

/// What an edge asked about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) target: String,
}

impl Relay {
    /// Listens at `at`, and passes on to the gate's socket.
    pub(crate) fn start(at: SocketAddr, gate: &Path) -> Self {
        let seen = Arc::new(Seen::default());
        let (gate, kept) = (gate.to_owned(), Arc::clone(&seen));
        let listener = TcpListener::bind(at).expect("an address");
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // To read, write and shut down, one stream socket is as another.
                join(OwnedFd::from(client).into(), &gate, &kept);
            }
        });
        Self { at, seen }
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// What was asked since the last time.
    pub(crate) fn take(&self, kind: Kind) -> Vec<Question> {
        let heads = std::mem::take(&mut *self.seen.questions.lock().expect("nobody panics here"));
        heads.iter().map(|lines| Question::of(kind, lines)).collect()
    }
}

impl Question {
    /// In the words of this edge.
    fn of(kind: Kind, lines: &[String]) -> Self {
        let headers = wire::headers(&lines[1..]);
        let one = |wanted: &str| {
            let values: Vec<_> = headers.iter().filter(|(name, _)| name == wanted).collect();
            assert!(values.len() <= 1, "{wanted} twice: {lines:?}");
            values.first().map(|(_, value)| value.clone()).unwrap_or_default()
        };
        if kind == Kind::Nginx {
            let url = one("x-original-url");
            let (_, rest) = url.split_once("://").unwrap_or_default();
            let (host, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            Self { method: one("x-original-method"), host: host.to_owned(), target: target.to_owned() }
        } else {
            let (method, host) = (one("x-forwarded-method"), one("x-forwarded-host"));
            Self { method, host, target: one("x-forwarded-uri") }
        }
    }
}

/// Connects an edge with the gate. Without a gate the edge is hung up on.
fn join(client: UnixStream, gate: &Path, seen: &Arc<Seen>) {
    seen.connections.fetch_add(1, Ordering::Relaxed);
    let Ok(gate) = UnixStream::connect(gate) else { return };
    let clone = |stream: &UnixStream| stream.try_clone().expect("a second handle");
    let (client_too, gate_too) = (clone(&client), clone(&gate));
    thread::spawn(move || pass_on(&gate_too, &client_too, |_| {}));
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        let mut unread = Vec::new();
        pass_on(&client, &gate, |bytes| {
            unread.extend_from_slice(bytes);
            // A question has no body.
            while let Some((lines, rest)) = wire::split_head(&unread) {
                let rest = rest.to_vec();
                seen.questions.lock().expect("nobody panics here").push(lines);
                unread = rest;
            }
        });
    });
}

fn pass_on(mut from: &UnixStream, mut to: &UnixStream, mut look: impl FnMut(&[u8])) {
    let mut chunk = [0; 16 * 1024];
    while let Ok(len @ 1..) = from.read(&mut chunk) {
        look(&chunk[..len]);
        if to.write_all(&chunk[..len]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
