//! The real `keygate` binary, as an operator uses it: its command line on a database of its own, and its server on a
//! free port. Taken in by path: `#[path = "../support/process.rs"] mod process;`

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use keygate_authority::factor;
use keygate_model::Timestamp;
use keygate_server::edge::Clock;
use serde_json::Value;

/// How long the server may take to say where it serves, and to answer.
const START_MAX: Duration = Duration::from_secs(30);
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A folder with a database in it. Dropped, it is removed.
pub(crate) struct Home(PathBuf);

/// Somebody's second factor.
pub(crate) struct Factor(Vec<u8>);

/// A running server. Dropped, it is killed.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The server's own time.
pub(crate) fn now() -> Timestamp {
    Clock::System.now()
}

impl Home {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("keygate-home-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).expect("a folder for the database");
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The binary, with nothing in its environment but the database.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keygate"));
        command.env_clear().env("KEYGATE_DB", format!("sqlite:{}/keygate.db", self.0.display()));
        command.args(args).current_dir(&self.0);
        command
    }

    /// Runs a command with `--json` that must succeed: what it printed.
    pub(crate) fn run(&self, args: &[&str], stdin: &str) -> Value {
        let mut command = self.command(args);
        command.arg("--json").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        child.stdin.take().expect("its input").write_all(stdin.as_bytes()).expect("it reads its input");
        let Output { status, stdout, stderr } = child.wait_with_output().expect("its end");
        assert!(status.success(), "keygate {args:?}: {status}\n{}", String::from_utf8_lossy(&stderr));
        serde_json::from_slice(&stdout).expect("JSON")
    }

    pub(crate) fn customer(&self, name: &str) -> String {
        id(&self.run(&["customer", "create", "--name", name], ""))
    }

    /// Adds a person, who is called by the first word of the login.
    pub(crate) fn user(&self, customer: &str, login: &str, role: &str, password: &str) -> String {
        let name = login.split('@').next().unwrap_or(login);
        let whose = ["user", "create", "--customer", customer, "--login", login, "--name", name];
        id(&self.run(&[&whose[..], &["--role", role, "--password-stdin"]].concat(), password))
    }

    pub(crate) fn second_factor(&self, login: &str) -> Factor {
        let shown = self.run(&["user", "totp", "--login", login], "");
        let secret = shown["secret"].as_str().expect("a secret");
        Factor(data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("base 32"))
    }

    /// Makes a service that is cached at these addresses.
    pub(crate) fn service(&self, customer: &str, name: &str, domain: &str, caches: &[SocketAddr]) -> String {
        let caches: Vec<_> = caches.iter().map(|cache| format!("http://{cache}")).collect();
        let mut args = vec!["service", "create", "--customer", customer, "--name", name, "--domain", domain];
        for cache in &caches {
            args.extend(["--cache", cache]);
        }
        id(&self.run(&args, ""))
    }

    /// Starts the server, with the folder's `keygate.toml` if there is one, and waits until it serves.
    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&["--ways-here"])
    }

    /// The same, with these arguments.
    pub(crate) fn serve_with(&self, args: &[&str]) -> Server {
        let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
        all.extend(args);
        let config = self.0.join("keygate.toml");
        if config.exists() {
            all.extend(["--config", "keygate.toml"]);
        }
        self.start(&all)
    }

    /// Starts whatever serves with these arguments, and waits until it does.
    pub(crate) fn start(&self, args: &[&str]) -> Server {
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let address = serves_at(child.stderr.take().expect("its log"));
        Server { child, address }
    }
}

/// Sends one request over a connection of its own. None: no answer came.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Answer> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(ANSWER_MAX)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(Answer::parse(&answer))
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Factor {
    /// The code of this moment. Each is good for once.
    pub(crate) fn code(&self) -> String {
        factor::code_at(&self.0, now())
    }
}

impl Server {
    /// Its number, for those who send it signals.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends one request over a connection of its own.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        send(self.address, method, path, headers, body).expect("an answer in time")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    fn parse(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The body of an answer that must be a 200.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}\n{}", self.head, self.body);
        self.any_json()
    }

    /// The body, whatever was answered.
    pub(crate) fn any_json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Reads the address from the log. The rest must still be read, or the server would block on a full pipe.
fn serves_at(log: ChildStderr) -> SocketAddr {
    let (said, heard) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let _ = said.send(line);
        }
    });
    let mut before = String::new();
    loop {
        let Ok(line) = heard.recv_timeout(START_MAX) else {
            panic!("the server does not serve. It said:\n{before}")
        };
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        let message = entry["fields"]["message"].as_str().unwrap_or_default();
        if ["Keygate serves", "Keygate stands before the upstream"].contains(&message) {
            let address = entry["fields"]["address"].as_str().and_then(|address| address.parse().ok());
            return address.expect("an address");
        }
        before.push_str(&line);
        before.push('\n');
    }
}

fn id(made: &Value) -> String {
    made["id"].as_str().expect("an id").to_owned()
}
