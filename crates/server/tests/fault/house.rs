//! A folder with a database, and the real binary that works on it: as a server, and as commands.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    clock::wait_for,
    http::{Answer, Ask, Client},
    shim,
};

/// A folder with a database. Removed in the end, unless the test failed.
pub(crate) struct House {
    pub(crate) dir: PathBuf,
    pub(crate) db: PathBuf,
    shim: Option<PathBuf>,
    env: Vec<(&'static str, String)>,
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Somebody with a login.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) login: String,
    pub(crate) password: String,
}

/// What `keygate user totp` shows.
pub(crate) struct Factor {
    pub(crate) secret: String,
    pub(crate) seed: Vec<u8>,
    pub(crate) recovery: Vec<String>,
}

static HOUSES: AtomicU32 = AtomicU32::new(0);

impl House {
    pub(crate) fn new(name: &str) -> Self {
        let number = HOUSES.fetch_add(1, Ordering::Relaxed);
        let dir =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self { db: dir.join("keygate.db"), dir, shim: None, env: Vec::new() }
    }

    /// From here on every server runs on a disk that forgets what was not synced.
    pub(crate) fn on_a_forgetful_disk(&mut self) {
        self.shim = Some(shim::build(&self.dir));
        shim::adopt(&self.db);
    }

    /// From here on every process has this in its environment.
    pub(crate) fn env(&mut self, name: &'static str, value: &str) {
        self.env.push((name, value.to_owned()));
    }

    pub(crate) fn db_argument(&self) -> String {
        format!("sqlite:{}", self.db.display())
    }

    /// The binary with the environment of this house and no other.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keygate"));
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KEYGATE_"))
        {
            command.env_remove(name);
        }
        command.args(args).args(["--db", &self.db_argument()]).current_dir(&self.dir);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end. Never under the shim, so never between two servers that are.
    pub(crate) fn run(&self, args: &[&str], stdin: &str) -> Output {
        let mut command = self.command(args);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs a command that must succeed, and reads what it prints.
    pub(crate) fn json(&self, args: &[&str], stdin: &str) -> Value {
        let Output { status, stdout, stderr } = self.run(args, stdin);
        assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
        serde_json::from_slice(&stdout).unwrap()
    }

    pub(crate) fn customer(&self) -> String {
        text(&self.json(&["customer", "create", "--name", "Acme", "--json"], ""), "id")
    }

    pub(crate) fn person(&self, customer: &str, login: &str, role: &str, password: &str) -> Person {
        let args =
            ["user", "create", "--customer", customer, "--login", login, "--name", login, "--role", role];
        let made = self.json(&[&args[..], &["--password-stdin", "--json"]].concat(), password);
        Person { id: text(&made, "id"), login: login.to_owned(), password: password.to_owned() }
    }

    pub(crate) fn totp(&self, person: &Person) -> Factor {
        Factor::read(&self.json(&["user", "totp", "--login", &person.login, "--json"], ""))
    }

    /// Starts the server on a free port, and waits until it serves.
    pub(crate) fn start(&self, args: &[&str]) -> Server {
        let log = self.dir.join("serve.log");
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let begin = usize::try_from(file.metadata().unwrap().len()).unwrap();
        let mut command = self.command(&[&["serve", "--listen", "127.0.0.1:0"], args].concat());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        if let Some(shim) = &self.shim {
            command.env("LD_PRELOAD", shim);
        }
        let mut child = command.spawn().unwrap();
        let address = wait_for("the server to serve", Duration::from_secs(30), || {
            let text = fs::read(&log).unwrap();
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {}", String::from_utf8_lossy(&text[begin..]));
            served_at(&text[begin..])
        });
        Server { child, address }
    }

    /// Kills the server like a power cut.
    pub(crate) fn cut_the_power(&self, server: Server) {
        drop(server);
        if self.shim.is_some() {
            shim::restore(&self.db);
        }
    }

    /// A copy of database and key, to look at without touching the files that the shim watches.
    pub(crate) fn photograph(&self) -> Self {
        let copy = Self::new("photograph");
        for suffix in ["", "-wal", ".key"] {
            let file = shim::beside(&self.db, suffix);
            if file.exists() {
                fs::copy(&file, shim::beside(&copy.db, suffix)).unwrap();
            }
        }
        copy
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.dir.display());
        } else {
            drop(fs::remove_dir_all(&self.dir));
        }
    }
}

/// Where the log says that the server serves.
fn served_at(log: &[u8]) -> Option<SocketAddr> {
    let end = log.iter().rposition(|byte| *byte == b'\n')?;
    let text = String::from_utf8_lossy(&log[..end]);
    let line = text.lines().find(|line| line.contains("Keygate serves"))?;
    let line: Value = serde_json::from_str(line).ok()?;
    line.pointer("/fields/address")?.as_str()?.parse().ok()
}

pub(crate) fn text(json: &Value, name: &str) -> String {
    json.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name:?} in {json}")).to_owned()
}

impl Server {
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM.
    pub(crate) fn tell_to_stop(&self) {
        let told = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.pid())]).status().unwrap();
        assert!(told.success());
    }

    /// Waits for the end.
    pub(crate) fn ended(&mut self, longest: Duration) -> ExitStatus {
        wait_for("the server to end", longest, || self.child.try_wait().unwrap())
    }

    pub(crate) fn stop(mut self) {
        self.tell_to_stop();
        assert!(self.ended(Duration::from_secs(15)).success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Person {
    /// `POST /tokens` by password, with a one-time code if there is one.
    pub(crate) fn login(&self, otp: Option<&str>) -> Ask {
        self.login_with(&self.password, otp)
    }

    pub(crate) fn login_with(&self, password: &str, otp: Option<&str>) -> Ask {
        let ask = Ask::new("POST /tokens").json(&json!({ "username": self.login, "password": password }));
        otp.map_or(ask.clone(), |otp| ask.header("Fastly-OTP", otp))
    }

    /// A token in sudo.
    pub(crate) fn sudo_token(&self, client: &mut Client) -> String {
        let made = client.must(&self.login(None));
        let secret = made.text("access_token");
        self.sudo(client, &secret);
        secret
    }

    pub(crate) fn sudo(&self, client: &mut Client, secret: &str) -> Answer {
        let sudo =
            client.must(&Ask::new("POST /sudo").key(secret).json(&json!({ "password": self.password })));
        assert!(sudo.is_ok(), "sudo: {} {}", sudo.status, sudo.json());
        sudo
    }
}

impl Factor {
    pub(crate) fn read(shown: &Value) -> Self {
        let secret = text(shown, "secret");
        let seed = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
        let codes = shown.get("recovery_codes").and_then(Value::as_array).unwrap();
        let recovery = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        Self { secret, seed, recovery }
    }

    /// The code of now.
    pub(crate) fn code(&self) -> String {
        keygate_authority::factor::code_at(&self.seed, crate::clock::wall())
    }

    /// Six digits that are the code of no moment near.
    pub(crate) fn wrong_code(&self) -> String {
        let now = crate::clock::wall();
        let near = |shift| keygate_model::Timestamp::from_seconds(now.seconds() + shift);
        let right: Vec<_> =
            (-4..=4).map(|step| keygate_authority::factor::code_at(&self.seed, near(step * 30))).collect();
        let wrong = (0..).map(|number| format!("{number:06}")).find(|code| !right.contains(code));
        wrong.unwrap()
    }
}
