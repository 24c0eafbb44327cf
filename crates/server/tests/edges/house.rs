//! A gate with a protected API, and tokens of every sort.

use std::{collections::BTreeMap, fs, path::PathBuf, thread, time::Duration};

use keygate_model::token::{Brand, Kind, Secret};
use serde_json::{Value, json};

use crate::process::{self, Home, Server};

/// The protected API.
pub(crate) const HOST: &str = "api.shop.example.com";

/// What a person of ours knows.
const PASSWORD: &str = "correct horse battery staple";

/// Where the networks of the third customer are: an address of this machine that tests connect from.
pub(crate) const ITS_NETWORK: &str = "127.0.0.7";

/// The ways in that real proxies take here, each at a socket of its own.
const WAYS: [&str; 3] = ["nginx", "caddy", "haproxy"];

/// The house. Its server can be stopped and started.
pub(crate) struct House {
    pub(crate) home: Home,
    /// Its services: one that the limited token has, and one that it has not.
    pub(crate) services: [String; 2],
    tokens: BTreeMap<&'static str, Token>,
    server: Option<Server>,
    more: Vec<String>,
}

/// A token, as its holder knows it.
pub(crate) struct Token {
    pub(crate) secret: String,
    /// What an API is told of it, but the id of the request.
    pub(crate) identity: Vec<(&'static str, String)>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// The same, with more arguments for the server.
    pub(crate) fn with(more: &[&str]) -> Self {
        let home = Home::new();
        let customers = ["Acme", "Gone", "Near"].map(|name| home.customer(name));
        let [acme, gone, near] = &customers;
        for (customer, name, role) in [
            (acme, "ada", "superuser"),
            (acme, "bob", "user"),
            (gone, "cyd", "superuser"),
            (near, "dot", "superuser"),
        ] {
            home.user(customer, &login(name), role, PASSWORD);
        }
        let services = ["shop", "blog"].map(|name| home.service(acme, name, &format!("{name}.example"), &[]));
        fs::write(home.path().join("shop.toml"), include_str!("shop.toml")).expect("a file");
        home.run(&["policy", "apply", "shop.toml", "--yes"], "");
        let more = more.iter().map(|arg| (*arg).to_owned()).collect();
        let mut house = Self { home, services, tokens: BTreeMap::new(), server: None, more };
        house.open();
        house.make_tokens();
        house.home.run(&["customer", "update", "--customer", gone, "--state", "suspended"], "");
        house.home.run(&["customer", "update", "--customer", near, "--ip-whitelist", ITS_NETWORK], "");
        house.await_what_was_changed();
        house
    }

    /// Starts the server.
    pub(crate) fn open(&mut self) {
        let ways = WAYS.map(|way| format!("--way={way}=unix:{}", self.socket(way).display()));
        let args: Vec<_> = ways.iter().chain(&self.more).map(String::as_str).collect();
        self.server = Some(self.home.serve_with(&args));
    }

    /// Starts the server with the ways in that its configuration names.
    pub(crate) fn open_as_configured(&mut self) {
        self.server = Some(self.home.serve_with(&[]));
    }

    /// Kills the server.
    pub(crate) fn close(&mut self) {
        self.server = None;
    }

    /// Where a way in is.
    pub(crate) fn socket(&self, way: &str) -> PathBuf {
        self.home.path().join(format!("{way}.sock"))
    }

    /// The token of this name.
    pub(crate) fn token(&self, name: &str) -> &Token {
        self.tokens.get(name).unwrap_or_else(|| panic!("no token {name}"))
    }

    /// Each letter of a request a byte, and each `{name}` what it stands for.
    pub(crate) fn bytes(&self, request: &str) -> Vec<u8> {
        let mut text = request.to_owned();
        for (name, id) in ["{SHOP}", "{BLOG}"].iter().zip(&self.services) {
            text = text.replace(name, id);
        }
        for name in tokens_in(&text) {
            text = text.replace(&format!("{{{name}}}"), &self.token(&name).secret);
        }
        text.chars().map(|letter| u8::try_from(u32::from(letter)).expect("a byte")).collect()
    }

    /// Ends a token, as its holder.
    pub(crate) fn revoke(&self, name: &str) {
        let key = [("Fastly-Key", self.token(name).secret.as_str())];
        let answer = self.server().send("DELETE", "/tokens/self", &key, "");
        assert_eq!(answer.status, 204, "{}", answer.head);
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it is open")
    }

    fn make_tokens(&mut self) {
        let [shop, _] = self.services.clone();
        // Logging in takes a while: the one that must end soon comes first.
        let soon = jiff::Timestamp::from_microsecond(process::now().micros() + 3_000_000).expect("a time");
        let people: [(&str, &str, Value); 10] = [
            ("expired", "ada", json!({ "expires_at": soon.to_string() })),
            ("good", "ada", json!({})),
            ("other", "ada", json!({})),
            ("read", "ada", json!({ "scope": "shop:read" })),
            ("purger", "ada", json!({ "scope": "purge_all" })),
            ("limited", "ada", json!({ "services": [shop] })),
            ("revoked", "ada", json!({})),
            ("lowly", "bob", json!({})),
            ("suspended", "cyd", json!({})),
            ("near", "dot", json!({})),
        ];
        for (name, who, more) in people {
            let token = self.log_in(who, more);
            self.tokens.insert(name, token);
        }
        let unknown = Secret::mint(&Brand::default(), Kind::User, &[7; 32]).reveal().to_string();
        let mut broken = self.token("good").secret.clone();
        broken.pop();
        for (name, secret) in [("unknown", unknown), ("broken", broken), ("nobody", String::new())] {
            let identity = identity_of(["-", "-", "anonymous", "-", "-", "-", "-"]);
            self.tokens.insert(name, Token { secret, identity });
        }
        self.revoke("revoked");
        while process::now().micros() < soon.as_microsecond() {
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn log_in(&self, who: &str, more: Value) -> Token {
        let mut body = json!({ "username": login(who), "password": PASSWORD, "name": who });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let kind = [("Content-Type", "application/json")];
        let made = self.server().send("POST", "/tokens", &kind, &body.to_string()).json();
        let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        let (id, user, customer, scope) = (text("id"), text("user_id"), text("customer_id"), text("scope"));
        let role = if who == "bob" { "user" } else { "superuser" };
        let expires = made["expires_at"].as_str().map_or("never".to_owned(), |at| {
            at.parse::<jiff::Timestamp>().expect("a time").as_second().to_string()
        });
        let identity = identity_of([&id, &user, "user", &customer, &scope, role, &expires]);
        Token { secret: text("access_token"), identity }
    }

    /// The command line has written beside the server, which reads it soon.
    fn await_what_was_changed(&self) {
        let refused = |name: &str| {
            let key = [("Fastly-Key", self.token(name).secret.as_str())];
            self.server().send("GET", "/tokens/self", &key, "").status == 403
        };
        for _ in 0..1000 {
            if refused("suspended") && refused("near") {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not see what the command line has changed");
    }
}

/// Names as `crates/server/src/ways/identity.rs` has them.
fn identity_of(values: [&str; 7]) -> Vec<(&'static str, String)> {
    let [id, subject, kind, customer, scopes, roles, expires] = values.map(str::to_owned);
    vec![
        ("x-auth-token-id", id),
        ("x-auth-subject", subject.clone()),
        ("x-auth-subject-type", kind),
        ("x-auth-customer-id", customer),
        ("x-auth-scopes", scopes),
        ("x-auth-roles", roles),
        ("x-auth-expires", expires),
        ("remote-user", subject.clone()),
        ("x-auth-request-user", subject),
        ("x-auth-jwt", "-".to_owned()),
        ("x-auth-stale", "-".to_owned()),
    ]
}

fn login(name: &str) -> String {
    format!("{name}@example.com")
}

/// The names in braces.
pub(crate) fn tokens_in(text: &str) -> Vec<String> {
    let names = text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned()));
    names.filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase())).collect()
}
