//! Secrets stay where they belong (SECURITY-BAR K18 d): canaries are sent to every endpoint, and to places where they
//! have no business, at the most talkative log level; then everything that Keygate wrote or said is searched for them.

mod places;
mod scan;

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use crate::{
    house::{Factor, House, Person, Server},
    http::{Answer, Ask, Client},
};
use scan::Scanner;

const ADA: &str = "Canary-password-of-Ada-7f3a\"&%=Zürich";
const BOB: &str = "Canary-password-of-Bob-91c4\"&%=Malmö";
const WRONG: &str = "Canary-wrong-password-5e2d\"&%=Århus";

/// Everything that was written or said, and what is looked for in it.
#[derive(Default)]
struct Hunt {
    scanner: Scanner,
    said: Vec<(String, Vec<u8>)>,
    tokens: Vec<String>,
}

impl Hunt {
    fn heard(&mut self, place: &str, bytes: impl Into<Vec<u8>>) {
        self.said.push((place.to_owned(), bytes.into()));
    }

    /// Asks, and keeps what was answered.
    fn ask(&mut self, client: &mut Client, ask: &Ask) -> Option<Answer> {
        let answer = client.ask(ask).ok()?;
        let mut shown = answer.body.clone();
        for (name, value) in &answer.headers {
            shown.extend(format!("\n{name}: {value}").bytes());
        }
        if let Some(secret) = answer.json().get("access_token").and_then(Value::as_str) {
            // The one answer that shows a secret, and shows it once.
            let text = String::from_utf8(shown).unwrap();
            assert_eq!(text.matches(secret).count(), 1);
            shown = text.replace(secret, "").into_bytes();
            self.scanner.add_token(&format!("token {}", self.tokens.len()), secret);
            self.tokens.push(secret.to_owned());
        }
        self.heard(&format!("the {} to {}", answer.status, ask.shown()), shown);
        Some(answer)
    }

    /// Asks for a token; returns it.
    fn token(&mut self, client: &mut Client, ask: &Ask) -> String {
        let answer = self.ask(client, ask).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.text("access_token")
    }

    fn files(&mut self, house: &House, when: &str) {
        for file in fs::read_dir(&house.dir).unwrap() {
            let path = file.unwrap().path();
            self.heard(&format!("{} {when}", path.file_name().unwrap().display()), fs::read(path).unwrap());
        }
    }

    /// What anybody on the machine may see of a process.
    fn process(&mut self, pid: u32) {
        for file in ["cmdline", "environ"] {
            if let Ok(bytes) = fs::read(format!("/proc/{pid}/{file}")) {
                self.heard(&format!("/proc/PID/{file}"), bytes);
            }
        }
    }

    fn found(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (place, bytes) in &self.said {
            // A page's links repeat the filter that was asked for. No token gets through as one.
            let links = place.starts_with("the 200 to GET /events?filter[");
            let key_file = place.starts_with("keygate.db.key");
            let names = self.scanner.find(bytes).into_iter().filter(|name| {
                let own_key = key_file && name.starts_with("the key");
                !own_key && (!links || name.contains("token"))
            });
            found.extend(names.map(|name| format!("{place} holds {name}")));
        }
        found
    }
}

/// Runs a command under the eyes of everybody on the machine. Its standard output is what it is for, and not kept.
fn command(hunt: &mut Hunt, house: &House, args: &[&str], stdin: &str) -> Value {
    let mut command = house.command(args);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child: Child = pipes.spawn().unwrap();
    hunt.process(child.id());
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    while child.try_wait().unwrap().is_none() {
        hunt.process(child.id());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let told = child.wait_with_output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    hunt.heard(&format!("what {} {} logs", args[0], args[1]), told.stderr);
    serde_json::from_slice(&told.stdout).unwrap()
}

/// Ada with a password alone, Bob with a second factor too.
fn people(hunt: &mut Hunt, house: &House) -> (Person, Person, Factor) {
    let customer = command(hunt, house, &["customer", "create", "--name", "Acme", "--json"], "");
    let customer = customer["id"].as_str().unwrap();
    let mut person = |name: &str, password: &str| {
        let login = format!("{name}@example.com");
        let args = ["user", "create", "--customer", customer, "--login", &login, "--name", name];
        let rest = ["--role", "superuser", "--password-stdin", "--json"];
        let made = command(hunt, house, &[&args[..], &rest].concat(), password);
        hunt.heard("what user create prints", made.to_string());
        Person { id: crate::house::text(&made, "id"), login, password: password.to_owned() }
    };
    let (ada, bob) = (person("ada", ADA), person("bob", BOB));
    let shown = command(hunt, house, &["user", "totp", "--login", &bob.login, "--json"], "");
    (ada, bob, Factor::read(&shown))
}

fn add_canaries(scanner: &mut Scanner, house: &House, factor: &Factor) {
    for (name, password) in [("Ada's password", ADA), ("Bob's password", BOB), ("the wrong password", WRONG)]
    {
        scanner.add(name, password.as_bytes());
    }
    scanner.add("the seed in base 32", factor.secret.as_bytes());
    scanner.add("the seed", &factor.seed);
    for (number, code) in factor.recovery.iter().enumerate() {
        scanner.add_recovery_code(&format!("recovery code {number}"), code);
    }
    let key = fs::read_to_string(house.dir.join("keygate.db.key")).unwrap();
    scanner.add("the key in hex", key.trim().as_bytes());
    scanner.add("the key", &data_encoding::HEXLOWER.decode(key.trim().as_bytes()).unwrap());
}

/// Every endpoint as it is meant to be used, and failures that people have every day.
fn ordinary_day(hunt: &mut Hunt, server: &Server, (ada, bob, factor): &(Person, Person, Factor)) -> String {
    let client = &mut server.client();
    let good = hunt.token(client, &ada.login(None));
    let sudo = hunt.token(client, &ada.login(None));
    hunt.token(client, &bob.login(Some(&factor.code())));
    hunt.token(client, &bob.login(Some(&factor.recovery[0])));
    for otp in [None, Some("000000"), Some(factor.recovery[0].as_str()), Some(BOB)] {
        hunt.ask(client, &bob.login(otp));
    }
    for person in [ada, bob] {
        hunt.ask(client, &person.login_with(WRONG, None));
    }
    hunt.ask(client, &Ask::new("POST /sudo").key(&sudo).json(&json!({ "password": WRONG })));
    assert_eq!(ada.sudo(client, &sudo).status, 200);
    let doomed = hunt.token(client, &Ask::new("POST /tokens").key(&sudo).json(&json!({ "name": "doomed" })));
    let idempotent =
        Ask::new("POST /tokens").key(&sudo).header("Idempotency-Key", "once").json(&json!({ "name": "one" }));
    hunt.token(client, &idempotent);
    assert_eq!(hunt.ask(client, &idempotent).unwrap().status, 409);
    let service = hunt.ask(client, &Ask::new("POST /service").key(&sudo).json(&json!({ "name": "shop" })));
    let service = service.unwrap().text("id");
    for line in [
        "GET /tokens",
        "GET /tokens/self",
        "GET /verify",
        "GET /current_user",
        "GET /current_customer",
        "GET /service",
        "GET /service/search?name=shop",
        "GET /service/SERVICE",
        "GET /service/SERVICE/details",
        "GET /service/SERVICE/domain",
        "GET /service/SERVICE/version",
        "PUT /service/SERVICE",
        "POST /service/SERVICE/purge/key",
        "POST /service/SERVICE/purge_all",
        "GET /livez",
        "GET /readyz",
        "GET /nowhere",
        "GET /authz/auth-request",
        "GET /realms/fastly/.well-known/openid-configuration",
    ] {
        hunt.ask(client, &Ask::new(&line.replace("SERVICE", &service)).key(&sudo));
    }
    assert_eq!(hunt.ask(client, &Ask::new("DELETE /tokens/self").key(&doomed)).unwrap().status, 204);
    assert_eq!(hunt.ask(client, &Ask::new("GET /tokens/self").key(&doomed)).unwrap().status, 401);
    good
}

/// HTTP/2 has headers, and logs, of its own.
fn by_http_2(hunt: &mut Hunt, server: &Server, ada: &Person, good: &str) {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<bytes::Bytes>>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let login = json!({ "username": ada.login, "password": WRONG }).to_string();
    for (method, path, body) in
        [("GET", "/tokens/self", ""), ("POST", "/tokens", &login), ("GET", "/nowhere", "")]
    {
        let request =
            axum::http::Request::builder().method(method).uri(format!("http://{}{path}", server.address));
        let request = if body.is_empty() { request.header("fastly-key", good) } else { request };
        let request =
            request.header("fastly-otp", WRONG.as_bytes()).header("content-type", "application/json");
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let answer = runtime.block_on(client.request(request)).unwrap();
        assert_eq!(answer.version(), axum::http::Version::HTTP_2);
        let body = runtime.block_on(answer.into_body().collect()).unwrap().to_bytes();
        hunt.heard(&format!("the answer by HTTP/2 to {method} {path}"), body);
    }
}

/// All pages of the events, and the counters.
fn read_back(hunt: &mut Hunt, server: &Server, good: &str) {
    let client = &mut server.client();
    for page in 1.. {
        let line = format!("GET /events?page[size]=100&page[number]={page}");
        let events = hunt.ask(client, &Ask::new(&line).key(good)).unwrap().json();
        if events["meta"]["total_pages"].as_u64().unwrap() <= page {
            break;
        }
    }
    hunt.ask(client, &Ask::new("GET /tokens").key(good));
    assert_eq!(hunt.ask(client, &Ask::new("GET /metrics")).unwrap().status, 200);
}

#[test]
fn no_secret_is_found_anywhere_but_in_the_answer_that_made_it() {
    let mut house = House::new("canary");
    house.env("KEYGATE_LOG", "trace");
    let mut hunt = Hunt::default();
    let people = people(&mut hunt, &house);
    add_canaries(&mut hunt.scanner, &house, &people.2);
    let server = house.start(&[]);
    hunt.process(server.pid());
    let good = ordinary_day(&mut hunt, &server, &people);
    by_http_2(&mut hunt, &server, &people.0, &good);
    let [sudo, secrets @ ..] = [1, 2, 5].map(|number: usize| hunt.tokens[number].clone());
    let others = [ADA, WRONG, &people.2.recovery[3], &people.2.secret];
    let client = &mut server.client();
    for secret in secrets.iter().map(String::as_str).chain(others) {
        for ask in places::wrong(secret, &[&good, &sudo]) {
            hunt.ask(client, &ask);
        }
    }
    // Marks of use are written every five seconds, and by this read.
    read_back(&mut hunt, &server, &good);
    hunt.process(server.pid());
    hunt.files(&house, "of the running server");
    server.stop();
    hunt.files(&house, "of the stopped server");
    let answers = hunt.said.iter().filter(|(place, _)| place.starts_with("the ")).count();
    let bytes: usize = hunt.said.iter().map(|(_, bytes)| bytes.len()).sum();
    eprintln!(
        "{answers} answers, {} places, {} KiB searched for {} tokens and more",
        hunt.said.len(),
        bytes / 1024,
        hunt.tokens.len()
    );
    let found = hunt.found();
    assert!(found.is_empty(), "{} finds: {found:#?}", found.len());
    a_planted_canary_is_found(&mut hunt, &house);
}

/// The control: the same search finds a canary in each kind of place.
fn a_planted_canary_is_found(hunt: &mut Hunt, house: &House) {
    let db = rusqlite::Connection::open(&house.db).unwrap();
    db.execute("UPDATE customers SET name = ?1", [&hunt.tokens[0][10..30]]).unwrap();
    drop(db);
    let log = fs::OpenOptions::new().append(true).open(house.dir.join("serve.log"));
    let line = data_encoding::BASE64.encode(format!("user:{BOB}").as_bytes());
    writeln!(log.unwrap(), "{{\"authorization\":\"Basic {line}\"}}").unwrap();
    hunt.said.clear();
    hunt.files(house, "with canaries");
    let found: Vec<_> = hunt.found().into_iter().collect();
    assert!(
        found.iter().any(|find| find.starts_with("keygate.db with canaries holds a part of token 0")),
        "{found:#?}"
    );
    assert!(
        found.iter().any(|find| find.starts_with("serve.log with canaries holds Bob's password")),
        "{found:#?}"
    );
}
