//! A server of our own: starting it, and how long it takes from nothing to serving.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use anyhow::Context as _;
use keygate_authority::{Authority, Settings};
use keygate_gate::Gate;
use keygate_model::{Action, Circumstances, Policy, Timestamp, Verdict, Want, policy::OWN_POLICY};

use crate::{
    durable::{Office, START, fresh},
    fixture::{self, median},
    report::{Bar, Row},
};

/// A server process, ended when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts `keygate serve` on a database, on core 0 with one thread, and waits until it serves.
    ///
    /// # Errors
    /// If it does not.
    pub fn keygate(folder: &Path, db: &Path) -> anyhow::Result<Self> {
        let config = folder.join("one-worker.toml");
        std::fs::write(&config, "workers = 1\npublic_url = \"https://api.example\"\n")?;
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(beside("keygate")?).args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--ways-here",
        ]);
        command.arg("--db").arg(format!("sqlite:{}", db.display())).arg("--config").arg(&config);
        command.env("KEYGATE_LOG", "keygate_server=info").stderr(Stdio::piped()).stdin(Stdio::null());
        let mut child =
            command.spawn().context("keygate cannot be started: is it built? ./dev bench does")?;
        let log = BufReader::new(child.stderr.take().context("no log")?);
        let mut said = String::new();
        for line in log.lines() {
            let line = line?;
            if let Some((_, rest)) = line.split_once("\"address\":\"") {
                let address = rest.split('"').next().unwrap_or_default().parse()?;
                return Ok(Self { child, address });
            }
            said.push_str(&format!("\n  {line}"));
        }
        let status = child.wait()?;
        anyhow::bail!("keygate ended before it served, with {status}, and said:{said}")
    }

    /// Starts a yardstick of ours the same way.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn yardstick(name: &str) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(beside(name)?).arg(address.port().to_string());
        Self::run(command, address)
    }

    /// Starts `keygate proxy` without its gate, on core 0 with one thread.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn proxy(upstream: SocketAddr) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(beside("ungated")?).args([address.to_string(), upstream.to_string()]);
        Self::run(command, address)
    }

    /// Starts `keygate proxy` with its gate, the same way.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn gated(db: &Path, upstream: SocketAddr) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(beside("keygate")?).args(["proxy", "--workers", "1", "--listen"]);
        command.arg(address.to_string()).arg("--upstream").arg(format!("http://{upstream}"));
        command.arg("--db").arg(format!("sqlite:{}", db.display())).stderr(Stdio::null());
        Self::run(command, address)
    }

    /// Runs a command that will answer at `address`, and waits until it does.
    ///
    /// # Errors
    /// If it does not.
    pub fn run(mut command: Command, address: SocketAddr) -> anyhow::Result<Self> {
        let mut server = Self { child: command.spawn().context("a server cannot be started")?, address };
        for _ in 0..200 {
            if TcpStream::connect(address).is_ok() {
                return Ok(server);
            }
            anyhow::ensure!(server.child.try_wait()?.is_none(), "{command:?} ended at once");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        anyhow::bail!("{command:?} does not answer")
    }

    /// Runs a command that logs where it serves, and waits until it does.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn logged(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(log)?);
        let mut child =
            command.spawn().context("keygate cannot be started: is it built? ./dev bench does")?;
        loop {
            let said = std::fs::read_to_string(log)?;
            if let Some(address) =
                said.split_once("\"address\":\"").and_then(|(_, rest)| rest.split_once('"'))
            {
                return Ok(Self { address: address.0.parse()?, child });
            }
            if let Some(status) = child.try_wait()? {
                anyhow::bail!("{command:?} ended before it served, with {status}, and said:\n{said}");
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Ends it as an operator does, and waits until it has.
    ///
    /// # Errors
    /// If it cannot be told.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let told = Command::new("kill").arg(self.pid().to_string()).status()?;
        anyhow::ensure!(told.success(), "a server cannot be told to stop");
        self.child.wait()?;
        Ok(())
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ours, and a bench keeps nothing: however it ends is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures the start with a million tokens.
///
/// # Errors
/// Whatever goes wrong.
pub fn measure(folder: &Path) -> anyhow::Result<Row> {
    let db = database(folder, 1_000_000)?;
    let mut times = Vec::new();
    for _ in 0..3 {
        let start = fixture::now();
        let server = Server::keygate(folder, &db)?;
        times.push(start.elapsed().as_secs_f64());
        drop(server);
    }
    let seconds = median(times);
    Ok(Row {
        what: "start to serving, 1 M tokens".to_owned(),
        ours: format!("{seconds:.2} s"),
        yardstick: "process start to first accept".to_owned(),
        ratio: seconds,
        bar: Bar::Most(3.0),
        note: "every row's seal and last event checked; one core".to_owned(),
    })
}

/// A database with this many tokens, whose secrets are [`fixture::secret`]'s. Kept for the next run, and made anew when
/// the authority of today cannot read it or finds too little in it.
///
/// # Errors
/// Whatever goes wrong.
pub fn database(folder: &Path, tokens: u64) -> anyhow::Result<PathBuf> {
    let name = format!("{tokens}.db");
    let db = folder.join(&name);
    if db.exists() {
        match fits(&db, tokens) {
            Ok(()) => return Ok(db),
            Err(why) => eprintln(&format!("{} cannot be used again: {why:#}", db.display())),
        }
    }
    eprintln(&format!("making a database of {tokens} tokens …"));
    let db = fresh(folder, &name)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let office = Arc::new(runtime.block_on(Office::open(&db))?);
    runtime.block_on(Arc::clone(&office).make_up_to(tokens))?;
    drop(office);
    fits(&db, tokens)?;
    Ok(db)
}

/// Whether a database holds these tokens, and they may do what the benches ask for.
fn fits(db: &Path, tokens: u64) -> anyhow::Result<()> {
    let policy = Arc::new(Policy::compile(OWN_POLICY)?);
    let gate = Arc::new(Gate::new(Arc::clone(&policy), usize::try_from(tokens)?));
    let fed = Arc::clone(&gate);
    let authority =
        Authority::open(Settings::new(db, policy, [7; 32]), Box::new(move |batch| fed.apply(batch)))?;
    gate.open();
    drop(authority);
    let service = Some(gate.wanted_id(fixture::SERVICE));
    let want = Want { action: Action::PURGE_KEY, service };
    let at = Circumstances::of(Timestamp::from_seconds(START), None);
    for number in 0..tokens {
        let verdict = gate.decide(&fixture::secret(number).digest(), &want, at);
        anyhow::ensure!(matches!(verdict, Verdict::Allow(_)), "of token {number} it says {verdict:?}");
    }
    Ok(())
}

/// Says what takes long.
#[expect(clippy::print_stderr, reason = "a bench talks to whoever started it")]
pub fn eprintln(text: &str) {
    eprintln!("{text}");
}

/// An address of this machine's own that nobody listens at.
///
/// # Errors
/// If there is none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A program that was built with this one.
///
/// # Errors
/// If nobody knows where this one is.
pub fn beside(name: &str) -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}
