//! What goes wrong on purpose: a line that holds everything back or is cut, and processes that are stopped for a while.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use crate::process::Server;

const PASSES: u8 = 0;
const HOLDS: u8 = 1;
const CUTS: u8 = 2;

/// How soon a relay notices what it is told.
const LOOK: Duration = Duration::from_millis(10);

/// Stands before a node, and does with what goes through what it is told.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    mode: Arc<AtomicU8>,
}

impl Relay {
    pub(crate) fn before(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, mode) = (listener.local_addr().unwrap(), Arc::new(AtomicU8::new(PASSES)));
        let told = Arc::clone(&mode);
        thread::spawn(move || {
            for inward in listener.incoming().map_while(Result::ok) {
                let Ok(outward) = TcpStream::connect(node) else { continue };
                for (from, to) in [(&inward, &outward), (&outward, &inward)] {
                    let (from, to, told) =
                        (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(&told));
                    thread::spawn(move || carry(from, to, &told));
                }
            }
        });
        Self { address, mode }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets everything through, also what was held.
    pub(crate) fn pass(&self) {
        self.mode.store(PASSES, Ordering::SeqCst);
    }

    /// Keeps everything, and loses nothing.
    pub(crate) fn hold(&self) {
        self.mode.store(HOLDS, Ordering::SeqCst);
        // What was read before is through.
        thread::sleep(3 * LOOK);
    }

    /// Breaks every connection, and every new one.
    pub(crate) fn cut(&self) {
        self.mode.store(CUTS, Ordering::SeqCst);
    }
}

/// Carries what comes in one direction.
fn carry(mut from: TcpStream, mut to: TcpStream, told: &AtomicU8) {
    from.set_read_timeout(Some(LOOK)).unwrap();
    let mut piece = [0; 16 * 1024];
    'carried: loop {
        let read = from.read(&mut piece);
        loop {
            match told.load(Ordering::SeqCst) {
                HOLDS => thread::sleep(LOOK),
                CUTS => break 'carried,
                _ => break,
            }
        }
        match read {
            Ok(0) => break,
            Ok(len) if to.write_all(&piece[..len]).is_err() => break,
            Ok(_) => {}
            Err(why)
                if matches!(why.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}

/// Stops a process where it stands, for so long.
pub(crate) fn pause(process: &Server, length: Duration) {
    signal(process, "-STOP");
    thread::sleep(length);
    signal(process, "-CONT");
}

fn signal(process: &Server, name: &str) {
    let sent = Command::new("kill").args([name, &process.id().to_string()]).status().unwrap();
    assert!(sent.success(), "kill {name}");
}
