//! A node with a shop to protect and tokens for it, and gates that follow the node: the real binary, in processes of their own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use keygate_authority::{
    Authority, Origin, Settings,
    token::{Import, ImportOwner, ImportedSecret},
    user::NewUser,
};
use keygate_model::{
    CustomerId, Expiry, Permit, Policy, TokenId, UserId, policy::OWN_POLICY, token::Brand, user::Login,
};
use keygate_server::edge::Clock;
use serde_json::{Value, json};

use super::ask::Line;
use crate::{
    fixture,
    start::{Server, beside, eprintln},
};

const PASSWORD: &str = "correct horse battery staple";
const LOGIN: &str = "operator@example.com";

/// How many tokens a person has.
const TOKENS_EACH: u64 = 100;

/// How many tokens are taken over in one change.
const AT_ONCE: u64 = 20_000;

/// How long a gate may take to know everything.
const KNOWS_MAX: Duration = Duration::from_secs(60);

const SHOP: &str = r#"
name = "shop"
hosts = ["api.shop.example.com"]
customers = "all"
[actions]
"order:read" = { read = true }
[scopes]
"shop:read" = ["@read"]
[roles]
"superuser" = ["*"]
"engineer" = ["*"]
[routes]
"GET /orders/{order}" = { action = "order:read" }
"#;

/// The house.
pub(super) struct House {
    folder: PathBuf,
    pub(super) node: Server,
    gate_token: String,
}

impl House {
    /// One with so many tokens ([`secret`]), on a copy of a database that is kept for the next run of the same binary.
    pub(super) fn with(folder: &Path, tokens: u64) -> anyhow::Result<Self> {
        let kept = fs::canonicalize(folder)?.join(format!("many-{tokens}"));
        let binary = fs::metadata(beside("keygate")?)?;
        let made_by = format!("{:?} {}", binary.modified()?, binary.len());
        if fs::read_to_string(kept.join("made-by")).ok().as_deref() != Some(&made_by) {
            eprintln(&format!("making a house of {tokens} tokens …"));
            anew(&kept)?;
            furnish(&kept, tokens)?;
            fs::write(kept.join("made-by"), made_by)?;
        }
        let run = kept.with_file_name("many-run");
        anew(&run)?;
        for entry in fs::read_dir(&kept)? {
            let entry = entry?;
            fs::copy(entry.path(), run.join(entry.file_name()))?;
        }
        let mut command = keygate(&run)?;
        command.args(["serve", "--listen", "127.0.0.1:0", "--ways-here", "--config", "keygate.toml"]);
        let node = Server::logged(command, &run.join("node.log"))?;
        let gate_token = gate_token(node.address)?;
        Ok(Self { folder: run, node, gate_token })
    }

    /// A gate that follows it, in a process of its own, with the way in for nginx.
    pub(super) fn gate(&self, name: &str, more: &[&str]) -> anyhow::Result<Server> {
        fs::write(self.folder.join("gate.token"), &self.gate_token)?;
        let mut command = keygate(&self.folder)?;
        command.args(["gate", "--follow", &self.url(), "--token-file", "gate.token", "--name", name]);
        command.args(["--way", "nginx=127.0.0.1:0"]).args(more);
        Server::logged(command, &self.folder.join(format!("{name}.log")))
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.node.address)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn gate_token(&self) -> &str {
        &self.gate_token
    }

    /// A token of the superuser.
    pub(super) fn superuser(&self) -> anyhow::Result<String> {
        login(&mut Line::to(self.node.address)?, "global shop:read")
    }
}

/// Waits until a gate lets somebody in.
pub(super) fn until_it_knows(gate: SocketAddr, secret: &str) -> anyhow::Result<()> {
    let (mut line, start) = (Line::to(gate)?, fixture::now());
    loop {
        let said = line.asks(secret)?;
        if said == 200 {
            return Ok(());
        }
        anyhow::ensure!(start.elapsed() < KNOWS_MAX, "a gate answers {said} about a token that is alive");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The secret of the token with this number.
pub(super) fn secret(number: u64) -> String {
    format!("legacy-key-of-the-bench-{number:09}")
}

fn anew(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}

fn keygate(folder: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(beside("keygate")?);
    command.env_clear().env("KEYGATE_DB", "sqlite:keygate.db").current_dir(folder);
    Ok(command)
}

fn run(folder: &Path, args: &[&str], stdin: &str) -> anyhow::Result<Value> {
    fs::write(folder.join("stdin"), stdin)?;
    let stdin = Stdio::from(fs::File::open(folder.join("stdin"))?);
    let done = keygate(folder)?.args(args).arg("--json").stdin(stdin).output()?;
    anyhow::ensure!(done.status.success(), "keygate {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(serde_json::from_slice(&done.stdout)?)
}

/// Makes everything there is.
fn furnish(folder: &Path, tokens: u64) -> anyhow::Result<()> {
    let made = run(folder, &["customer", "create", "--name", "operator"], "")?;
    let customer = made["id"].as_str().context("no id")?;
    let whose = ["user", "create", "--customer", customer, "--login", LOGIN, "--name", "operator"];
    run(folder, &[&whose[..], &["--role", "superuser", "--password-stdin"]].concat(), PASSWORD)?;
    fs::write(folder.join("shop.toml"), SHOP)?;
    let applied = keygate(folder)?.args(["policy", "apply", "shop.toml", "--yes"]).output()?;
    anyhow::ensure!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let quota = "[quota]\nper_token = 4000000000\nper_person = 4000000000\n";
    fs::write(folder.join("keygate.toml"), format!("{quota}[feed]\noperators = [{customer:?}]\n"))?;
    let customer: CustomerId = customer.parse().map_err(|_| anyhow::anyhow!("no id of a customer"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(issue(&folder.join("keygate.db"), customer, tokens))
}

/// People and tokens.
async fn issue(db: &Path, customer: CustomerId, tokens: u64) -> anyhow::Result<()> {
    let policy = Arc::new(Policy::compile(OWN_POLICY)?);
    let authority = Arc::new(Authority::open_silently(Settings::new(db, policy, [7; 32]))?);
    let (origin, permit) = (Origin::local(Clock::System.now()), Permit::of_the_operator(customer));
    let mut hired = tokio::task::JoinSet::new();
    for number in 0..tokens.div_ceil(TOKENS_EACH) {
        let (authority, origin) = (Arc::clone(&authority), origin.clone());
        let (name, role) = ("Bench".to_owned(), "engineer".to_owned());
        let login = Login::parse(&format!("bench{number}@keygate.example"))?;
        let new = NewUser { id: person(number), login, name, role, limited: false, password: None };
        hired.spawn(async move { authority.create_user(&permit, &origin, new).await.map(drop) });
        if hired.len() >= 64
            && let Some(done) = hired.join_next().await
        {
            done??;
        }
    }
    while let Some(done) = hired.join_next().await {
        done??;
    }
    let mut first = 0;
    while first < tokens {
        let end = tokens.min(first + AT_ONCE);
        let imports = (first..end).map(import).collect::<anyhow::Result<Vec<_>>>()?;
        authority.import_tokens(&permit, &origin, imports, false, |_| {}).await?;
        first = end;
    }
    Ok(())
}

fn person(number: u64) -> UserId {
    UserId::from_bits(9 + u128::from(number))
}

fn import(number: u64) -> anyhow::Result<Import> {
    // In no order, as drawn ids are.
    let id = fixture::token_id(number);
    Ok(Import {
        id: TokenId::from_bytes(id),
        secret: ImportedSecret::of_secret(secret(number).as_bytes(), &Brand::default())?,
        name: format!("old-{number}"),
        owner: ImportOwner::User(person(number / TOKENS_EACH)),
        scope: "shop:read".to_owned(),
        services: None,
        expires: Expiry::Never,
    })
}

fn gate_token(node: SocketAddr) -> anyhow::Result<String> {
    let mut line = Line::to(node)?;
    let person = login(&mut line, "global feed")?;
    post(&mut line, "/sudo", &person, &json!({ "username": LOGIN, "password": PASSWORD }))?;
    let body = json!({ "name": "a gate", "role": "gate", "scope": "feed" });
    token(&post(&mut line, "/automation-tokens", &person, &body)?)
}

fn login(line: &mut Line, scope: &str) -> anyhow::Result<String> {
    let body = json!({ "username": LOGIN, "password": PASSWORD, "name": scope, "scope": scope });
    token(&post(line, "/tokens", "", &body)?)
}

fn post(line: &mut Line, path: &str, key: &str, body: &Value) -> anyhow::Result<Value> {
    let mut headers = vec![("Content-Type", "application/json")];
    if !key.is_empty() {
        headers.push(("Fastly-Key", key));
    }
    line.send("POST", path, &headers, &body.to_string())?.json(200)
}

fn token(made: &Value) -> anyhow::Result<String> {
    Ok(made["access_token"].as_str().context("no token")?.to_owned())
}
