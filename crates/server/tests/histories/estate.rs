//! Two nodes on one PostgreSQL, with a shop to protect, and gates that follow them in processes of their own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};

use crate::{
    line::{Line, Place, Reply},
    process::{Home, Server},
};

pub(crate) const PASSWORD: &str = "correct horse battery staple";
const LOGIN: &str = "operator@example.com";
const SERVING: &str = "keygate_histories";

/// What a token is asked for most.
pub(crate) const ORDERS: &str = "/orders/17";

const SHOP: &str = r#"
name = "shop"
hosts = ["api.shop.example.com"]
customers = "all"

[actions]
"order:read" = { read = true }
"project:read" = { read = true }

[scopes]
"shop:read" = ["@read"]

[roles]
"superuser" = ["*"]
"engineer" = ["order:read", "project:read"]

[routes]
"GET /orders/{order}" = { action = "order:read" }
"GET /projects/{service}" = { action = "project:read" }
"#;

/// A database of its own on the server that `./dev test` starts. Dropped, it is removed.
struct Database(String);

/// Where a gate is asked, and where it says how far it is.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) way: Place,
    pub(crate) health: Place,
}

pub(crate) struct Estate {
    pub(crate) nodes: [Server; 2],
    pub(crate) home: Home,
    /// The operator's superuser, in sudo.
    pub(crate) admin: String,
    /// An automation token that makes others.
    pub(crate) factory: String,
    pub(crate) customer: String,
    db: Database,
}

impl Estate {
    /// The estate without a gate yet; leases last so many seconds.
    pub(crate) fn new(lease: u64) -> Self {
        let (home, db) = (Home::new(), Database::new());
        home.run(&["migrate", "--db", &db.address("postgres"), "--serve-role", SERVING], "");
        std::fs::write(home.path().join("shop.toml"), SHOP).unwrap();
        let serving = db.address(SERVING);
        let there = on(&serving);
        let run = |args: &[&str], stdin: &str| home.run(&[args, &there].concat(), stdin);
        let customer =
            run(&["customer", "create", "--name", "operator"], "")["id"].as_str().unwrap().to_owned();
        let settings = format!(
            "outbox = \"outbox\"\n[feed]\noperators = [{customer:?}]\n[node]\nlease_seconds = {lease}\n\
             [login]\nfailures_burst = 100000\n[quota]\nper_person = 10000000\nper_token = 10000000\n"
        );
        std::fs::write(home.path().join("keygate.toml"), settings).unwrap();
        run(&["policy", "apply", "shop.toml", "--yes"], "");
        let args = [&there[..], &["--ways-here"]].concat();
        let nodes = [home.serve_with(&args), home.serve_with(&args)];
        let (admin, factory) = (String::new(), String::new());
        let mut estate = Self { nodes, home, admin, factory, customer, db };
        let customer = estate.customer.clone();
        estate.person(&customer, LOGIN, "superuser");
        estate.admin = estate.login(LOGIN, "global feed automation_token:mint shop:read");
        let sudo = json!({ "username": LOGIN, "password": PASSWORD });
        estate.post("/sudo", &estate.admin, &sudo).done();
        let gate = json!({ "name": "a gate", "role": "gate", "scope": "feed" });
        let gate = estate.post("/automation-tokens", &estate.admin, &gate).text("access_token");
        std::fs::write(estate.home.path().join("gate.token"), gate).unwrap();
        let factory =
            json!({ "name": "factory", "role": "engineer", "scope": "automation_token:mint shop:read" });
        estate.factory = estate.post("/automation-tokens", &estate.admin, &factory).text("access_token");
        estate
    }

    /// A command on the same database.
    pub(crate) fn run(&self, args: &[&str], stdin: &str) -> Value {
        let serving = self.db.address(SERVING);
        self.home.run(&[args, &on(&serving)].concat(), stdin)
    }

    pub(crate) fn person(&self, customer: &str, login: &str, role: &str) -> String {
        let whose = ["user", "create", "--customer", customer, "--login", login, "--name", login];
        let made = self.run(&[&whose[..], &["--role", role, "--password-stdin"]].concat(), PASSWORD);
        made["id"].as_str().unwrap().to_owned()
    }

    /// A token by password.
    pub(crate) fn login(&self, login: &str, scope: &str) -> String {
        let body = json!({ "username": login, "password": PASSWORD, "name": "t", "scope": scope });
        self.post("/tokens", "", &body).text("access_token")
    }

    pub(crate) fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        let mut headers = vec![("Content-Type", "application/json")];
        if !token.is_empty() {
            headers.push(("Fastly-Key", token));
        }
        Line::to(self.api(0)).ask("POST", path, &headers, &body.to_string()).unwrap()
    }

    pub(crate) fn api(&self, node: usize) -> Place {
        Place::Tcp(self.nodes[node].address)
    }

    /// The gate that a node has in its own process.
    pub(crate) fn inner_gate(&self, node: usize) -> Gate {
        Gate { way: self.api(node), health: self.api(node) }
    }

    /// Starts a gate in a process of its own, or starts it again.
    pub(crate) fn gate(&self, name: &str, urls: &[String], more: &[&str]) -> (Server, Gate) {
        let [socket, health] = ["way", "health"].map(|what| self.home.path().join(format!("{name}.{what}")));
        for socket in [&socket, &health] {
            drop(std::fs::remove_file(socket));
        }
        let way = format!("nginx=unix:{}", socket.display());
        let urls = urls.join(",");
        let args = ["gate", "--follow", &urls, "--token-file", "gate.token", "--way", &way, "--name", name];
        // The first address is the one that it says.
        let admin = format!("unix:{}", health.display());
        let listen = ["--listen", "127.0.0.1:0", "--admin", &admin];
        let server = self.home.start(&[&args[..], &listen, more].concat());
        (server, Gate { way: Place::Unix(socket), health: Place::Unix(health) })
    }

    pub(crate) fn urls(&self) -> [String; 2] {
        [0, 1].map(|node| format!("http://{}", self.nodes[node].address))
    }

    /// The last letter in the outbox to somebody: the code in it.
    pub(crate) fn letter(&self, to: &str) -> String {
        let letters = std::fs::read_to_string(self.home.path().join("outbox")).unwrap();
        let mut letters = letters.lines().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let letter = letters.find(|letter| letter["to"] == to).expect("a letter");
        letter["code"].as_str().unwrap().to_owned()
    }
}

impl Database {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("histories_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // Another test may be making it at this moment.
        let _ = sql(&format!("CREATE ROLE {SERVING} LOGIN"));
        assert!(sql(&format!("CREATE DATABASE {name}")), "no database");
        Self(name)
    }

    fn address(&self, user: &str) -> String {
        format!("postgres://{user}@{}/{}", place(), self.0)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        sql(&format!("DROP DATABASE {} WITH (FORCE)", self.0));
    }
}

/// The arguments that name the database.
fn on(db: &str) -> [&str; 4] {
    ["--db", db, "--key-file", "keygate.key"]
}

fn place() -> String {
    std::env::var("KEYGATE_TEST_POSTGRES")
        .expect("KEYGATE_TEST_POSTGRES is not set: ./dev test starts a server and sets it")
}

fn sql(statement: &str) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgres/server");
    let folder = PathBuf::from(place().replace("%2F", "/"));
    let done = Command::new(script).arg("sql").arg(folder).arg(statement).output().unwrap();
    done.status.success()
}
