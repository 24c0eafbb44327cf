//! The Fastly CLI, alone with the server: a home of its own, no other environment, and no way to the internet.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where the CLI is, seen from the workspace root.
const BINARY: &str = "tests/clients/node_modules/@fastly/cli-linux-x64/fastly";

/// A proxy that is not there. The CLI reaches addresses of this machine without it, and nothing else.
const NO_WAY_OUT: &str = "http://127.0.0.1:9";

/// What the CLI adds to every 401, and to every 403.
pub(crate) const HINT_401: &str =
    "This error is likely caused by a missing, incorrect, or expired Fastly API token.";
pub(crate) const HINT_403: &str = "This error may indicate insufficient token permissions,";

/// The CLI, as somebody uses it.
pub(crate) struct Fastly {
    home: PathBuf,
    api: SocketAddr,
    token: Option<String>,
}

/// What came of a command.
pub(crate) struct Ran {
    told: String,
    status: Option<i32>,
    out: String,
    err: String,
}

impl Fastly {
    /// With `token` in the environment; without one the CLI takes what is stored in its home.
    pub(crate) fn new(home: &Path, api: SocketAddr, token: Option<&str>) -> Self {
        let home = home.join("fastly");
        fs::create_dir_all(&home).expect("a home for the CLI");
        Self { home, api, token: token.map(str::to_owned) }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let api = format!("http://{}", self.api);
        let mut command = Command::new(binary());
        command.env_clear().current_dir(&self.home).args(args).stdin(Stdio::null());
        command.env("HOME", &self.home).env("XDG_CONFIG_HOME", self.home.join(".config"));
        command.env("FASTLY_API_ENDPOINT", &api).env("FASTLY_ACCOUNT_ENDPOINT", &api);
        command.env("HTTPS_PROXY", NO_WAY_OUT).env("NO_PROXY", "");
        command.envs(self.token.as_ref().map(|token| ("FASTLY_API_TOKEN", token)));
        let output = command.output().expect("the CLI runs");
        let text = |bytes| String::from_utf8(bytes).expect("the CLI prints text");
        let (out, err) = (text(output.stdout), text(output.stderr));
        Ran { told: format!("fastly {}", args.join(" ")), status: output.status.code(), out, err }
    }
}

impl Ran {
    /// What a command that must succeed has printed.
    pub(crate) fn ok(&self) -> &str {
        assert_eq!(self.status, Some(0), "{self}");
        assert!(!self.err.contains("ERROR"), "{self}");
        self.out.trim()
    }

    /// The same with every run of spaces as one: tables by their words.
    pub(crate) fn words(&self) -> String {
        self.ok().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
    }

    /// The error of a command that must fail, without `ERROR: `.
    pub(crate) fn error(&self) -> &str {
        self.failed().lines().next().unwrap_or_default()
    }

    /// The whole of it by its words: some errors take several lines.
    pub(crate) fn long_error(&self) -> String {
        self.failed().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The advice below the error.
    pub(crate) fn hint(&self) -> &str {
        self.failed().split_once("\n\n").map_or("", |(_, hint)| hint)
    }

    fn failed(&self) -> &str {
        assert_eq!(self.status, Some(1), "{self}");
        assert_eq!(self.out.trim(), "", "{self}");
        self.err.split_once("ERROR: ").unwrap_or_else(|| panic!("no error: {self}")).1
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ended with {:?}\n{}\n{}", self.told, self.status, self.out, self.err)
    }
}

fn binary() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.map(|dir| dir.join(BINARY)).find(|path| path.exists()).unwrap_or_else(|| {
        panic!("The Fastly CLI is not at {BINARY}, and these tests need the real one: run ./dev setup")
    })
}
