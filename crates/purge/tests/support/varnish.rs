//! A real Varnish with the shipped `keygate.vcl`, and an origin behind it. Uses nothing but std, so that any crate's
//! tests can take it in by path: `#[path = "../../purge/tests/support/varnish.rs"] mod varnish;`

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;
use std::{env, fs, process};

#[path = "origin.rs"]
mod origin;
pub(crate) use origin::Origin;

/// How much of varnishd's own talk is read while looking for its address.
const LINES_MAX: usize = 200;
const EXIT_WAIT: Duration = Duration::from_millis(50);
const EXIT_WAITS_MAX: u32 = 100;
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// One running varnishd. Dropped, it ends; should the test process die first, varnishd sees the end of its input and
/// ends by itself.
pub(crate) struct Varnish {
    child: Child,
    input: Option<ChildStdin>,
    dir: PathBuf,
    address: SocketAddr,
}

impl Varnish {
    /// Starts varnishd in front of `origin`. `vcl` is what an operator would have of their own, before the include.
    pub(crate) fn start(origin: &Origin, vcl: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("keygate-varnish-{}-{count}", process::id()));
        fs::create_dir_all(&dir).expect("a directory for varnishd");
        fs::write(dir.join("test.vcl"), operators_vcl(origin.address(), vcl)).expect("the VCL");
        let mut child = spawn(&dir);
        let mut input = child.stdin.take().expect("varnishd's input");
        let output = child.stdout.take().expect("varnishd's output");
        input.write_all(b"start\ndebug.listen_address\n").expect("varnishd takes commands");
        let address = read_address(BufReader::new(output)).unwrap_or_else(|| {
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            panic!("varnishd did not come up (is varnish-modules there? run ./dev setup). It said:\n{log}")
        });
        Self { child, input: Some(input), dir, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The body of a page, asked for as a visitor does.
    pub(crate) fn get(&self, host: &str, path: &str) -> String {
        let answer = exchange(
            self.address,
            &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        );
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.starts_with("HTTP/1.1 200 "), "{host}{path}: {head}");
        body.to_owned()
    }
}

impl Drop for Varnish {
    fn drop(&mut self) {
        drop(self.input.take());
        for _ in 0..EXIT_WAITS_MAX {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            sleep(EXIT_WAIT);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Sends a request as it is written, which must ask for the connection to be closed; reads all that comes back.
pub(crate) fn exchange(to: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(to).expect("the server listens");
    stream.set_read_timeout(Some(ANSWER_MAX)).expect("a time limit");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in time");
    answer
}

/// Debug mode (`-d`) puts Varnish's command line on stdin and stdout; at the end of its input varnishd stops.
fn spawn(dir: &Path) -> Child {
    let path = format!("{}:/usr/local/sbin:/usr/sbin", env::var("PATH").unwrap_or_default());
    let started = Command::new("varnishd")
        .env("PATH", path)
        .args(["-d", "-j", "none", "-a", "127.0.0.1:0", "-s", "malloc,32m", "-p", "thread_pools=1"])
        .arg("-n")
        .arg(dir.join("work"))
        .arg("-f")
        .arg(dir.join("test.vcl"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(dir.join("log")).expect("a log"))
        .spawn();
    match started {
        Ok(child) => child,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            panic!("varnishd is not installed, and these tests need the real one: run ./dev setup")
        }
        Err(e) => panic!("varnishd does not start: {e}"),
    }
}

/// The answer to `debug.listen_address` is a line `a0 127.0.0.1 43319`. The rest of what varnishd says must still be
/// read, or it would block on a full pipe.
fn read_address(output: impl BufRead + Send + 'static) -> Option<SocketAddr> {
    let mut lines = output.lines().map_while(Result::ok);
    let address = lines.by_ref().take(LINES_MAX).find_map(|line| {
        let (ip, port) = line.strip_prefix("a0 ")?.split_once(' ')?;
        format!("{ip}:{port}").parse().ok()
    });
    thread::spawn(move || lines.for_each(drop));
    address
}

fn operators_vcl(origin: SocketAddr, vcl: &str) -> String {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|dir| dir.join("deploy/varnish/keygate.vcl"))
        .find(|path| path.exists())
        .expect("deploy/varnish/keygate.vcl is above this crate");
    let (ip, port) = (origin.ip(), origin.port());
    format!(
        "vcl 4.1;\nimport std;\nbackend default {{ .host = \"{ip}\"; .port = \"{port}\"; }}\n{vcl}\ninclude \"{}\";\n",
        shipped.display()
    )
}
