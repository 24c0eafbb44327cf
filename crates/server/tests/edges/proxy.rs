//! Real proxies, started from the files that are shipped: only addresses and paths in them are replaced.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::wire::{Where, free_address};

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Caddy,
    Haproxy,
}

/// A running proxy. Dropped, it is killed.
pub(crate) struct Edge {
    pub(crate) kind: Kind,
    pub(crate) at: SocketAddr,
    child: Child,
}

impl Kind {
    /// What Keygate calls it.
    pub(crate) fn way(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
        }
    }
}

impl Edge {
    /// Starts it between its clients and the API, with its files in this folder. `edit` may add to the shipped file.
    pub(crate) fn start(
        kind: Kind,
        dir: &Path,
        gate: &Where,
        api: SocketAddr,
        edit: impl Fn(String) -> String,
    ) -> Self {
        let dir = dir.join(kind.way());
        fs::create_dir_all(&dir).expect("a folder for the proxy");
        let at = free_address();
        let mut command = match kind {
            Kind::Nginx => nginx(&dir, at, gate, api, edit),
            Kind::Caddy => caddy(&dir, at, gate, api, edit),
            Kind::Haproxy => haproxy(&dir, at, gate, api, edit),
        };
        let said = dir.join("said.log");
        let log = || File::create(&said).expect("a log");
        command.current_dir(&dir).stdin(Stdio::null()).stdout(log()).stderr(log());
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().unwrap_or_else(|why| panic!("{program}: {why}; run ./dev setup"));
        let mut edge = Self { kind, at, child };
        edge.wait(&said);
        edge
    }

    fn wait(&mut self, said: &Path) {
        for _ in 0..1000 {
            if TcpStream::connect(self.at).is_ok() {
                return;
            }
            let ended = self.child.try_wait().expect("its state");
            let said = || fs::read_to_string(said).unwrap_or_default();
            assert!(ended.is_none(), "{:?} does not take the shipped file:\n{}", self.kind, said());
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{:?} does not listen", self.kind);
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Around the shipped file: what Debian's nginx.conf has, for one process in a folder of its own.
const NGINX: &str = "daemon off;\nmaster_process off;\nerror_log error.log;\npid nginx.pid;\nevents {}\nhttp {\naccess_log off;
client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;
scgi_temp_path scgi;\ninclude keygate.conf;\n}\n";

fn nginx(
    dir: &Path,
    at: SocketAddr,
    gate: &Where,
    api: SocketAddr,
    edit: impl Fn(String) -> String,
) -> Command {
    let gate = match gate {
        Where::Tcp(at) => at.to_string(),
        Where::Unix(path) => format!("unix:{}", path.display()),
    };
    let shipped = Shipped::read("nginx/keygate.conf")
        .with("server 127.0.0.1:8081;", &format!("server {gate};"))
        .with("server 127.0.0.1:9000;", &format!("server {api};"))
        .with("listen 80;", &format!("listen {at};"));
    fs::write(dir.join("nginx.conf"), NGINX).expect("a file");
    fs::write(dir.join("keygate.conf"), edit(shipped.0)).expect("a file");
    fs::write(dir.join("keygate-headers.conf"), Shipped::read("nginx/keygate-headers.conf").0)
        .expect("a file");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf"));
    command
}

fn caddy(
    dir: &Path,
    at: SocketAddr,
    gate: &Where,
    api: SocketAddr,
    edit: impl Fn(String) -> String,
) -> Command {
    let gate = match gate {
        Where::Tcp(at) => at.to_string(),
        Where::Unix(path) => format!("unix/{}", path.display()),
    };
    let site = format!("http://:{} {{\n\tbind {}\n", at.port(), at.ip());
    let shipped = Shipped::read("caddy/Caddyfile")
        .with("forward_auth 127.0.0.1:8083 {", &format!("forward_auth {gate} {{"))
        .with("reverse_proxy 127.0.0.1:9000 {", &format!("reverse_proxy {api} {{"))
        .with("\napi.shop.example.com {\n", &format!("\n{site}"));
    let file = format!("{{\n\tadmin off\n}}\n{}", edit(shipped.0));
    fs::write(dir.join("Caddyfile"), file).expect("a file");
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(dir.join("Caddyfile"));
    command.env("HOME", dir).env("XDG_DATA_HOME", dir).env("XDG_CONFIG_HOME", dir);
    command
}

fn haproxy(
    dir: &Path,
    at: SocketAddr,
    gate: &Where,
    api: SocketAddr,
    edit: impl Fn(String) -> String,
) -> Command {
    let gate = match gate {
        Where::Tcp(at) => at.to_string(),
        Where::Unix(path) => format!("unix@{}", path.display()),
    };
    let script = deploy("haproxy/keygate.lua");
    let shipped = Shipped::read("haproxy/haproxy.cfg")
        .with("lua.keygate 127.0.0.1:8084", &format!("lua.keygate {gate}"))
        .with("server one 127.0.0.1:9000", &format!("server one {api}"))
        .with("bind :80 ", &format!("bind {at} "))
        .with("lua-load /etc/haproxy/keygate.lua", &format!("lua-load {}", script.display()));
    fs::write(dir.join("haproxy.cfg"), edit(shipped.0)).expect("a file");
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(dir.join("haproxy.cfg"));
    command
}

/// A shipped file.
struct Shipped(String);

impl Shipped {
    fn read(name: &str) -> Self {
        Self(shipped(name))
    }

    /// An address or a path replaced, which must stand there once.
    fn with(self, from: &str, to: &str) -> Self {
        assert_eq!(self.0.matches(from).count(), 1, "{from:?} stands not once in the shipped file");
        Self(self.0.replace(from, to))
    }
}

/// The text of a shipped file.
pub(crate) fn shipped(name: &str) -> String {
    fs::read_to_string(deploy(name)).expect("a shipped file")
}

fn deploy(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    root.join("deploy").join(name)
}
