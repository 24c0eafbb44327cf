//! A server with a customer, a superuser who has a second factor, and two services.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    fastly::Fastly,
    process::{Answer, Home, Server},
};

pub(crate) const LOGIN: &str = "ada@example.com";
pub(crate) const PASSWORD: &str = "correct horse & battery=staple";

/// Where one-time links go.
const OUTBOX: &str = "outbox.jsonl";

/// The house. `root` is Ada's first token, made with password and one-time code: the CLI cannot send one.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) customer: String,
    pub(crate) ada: String,
    pub(crate) shop: String,
    pub(crate) blog: String,
    pub(crate) root: String,
    pub(crate) home: Home,
}

/// A token that the CLI has made.
pub(crate) struct Made {
    pub(crate) secret: String,
    pub(crate) id: String,
}

impl House {
    /// Both services are cached at `caches`, the shop at shop.example and the blog at blog.example.
    pub(crate) fn new(caches: &[SocketAddr]) -> Self {
        Self::with(caches, "")
    }

    /// The same, with more in the server's configuration.
    pub(crate) fn with(caches: &[SocketAddr], settings: &str) -> Self {
        let home = Home::new();
        let customer = home.customer("Acme");
        let ada = home.user(&customer, LOGIN, "superuser", PASSWORD);
        let factor = home.second_factor(LOGIN);
        let shop = home.service(&customer, "shop", "shop.example", caches);
        let blog = home.service(&customer, "blog", "blog.example", caches);
        let config = format!("outbox = {OUTBOX:?}\n{settings}");
        std::fs::write(home.path().join("keygate.toml"), config).expect("a configuration");
        let server = home.serve();
        let form = format!(
            "username={LOGIN}&password={}&name=root",
            PASSWORD.replace('&', "%26").replace('=', "%3D")
        );
        let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Fastly-OTP", &factor.code())];
        let made = server.send("POST", "/tokens", &headers, &form).json();
        let root = made["access_token"].as_str().expect("a secret").to_owned();
        Self { server, customer, ada, shop, blog, root, home }
    }

    /// The CLI with this token in its environment.
    pub(crate) fn fastly(&self, token: &str) -> Fastly {
        Fastly::new(self.home.path(), self.server.address, Some(token))
    }

    /// The CLI with what it has stored.
    pub(crate) fn fastly_without_token(&self) -> Fastly {
        Fastly::new(self.home.path(), self.server.address, None)
    }

    /// The CLI with Ada's first token.
    pub(crate) fn ada(&self) -> Fastly {
        self.fastly(&self.root)
    }

    /// A token made by Ada with the CLI.
    pub(crate) fn token(&self, flags: &[&str]) -> Made {
        let args = [&["auth-token", "create", "--password", PASSWORD][..], flags].concat();
        Made::read(self.ada().run(&args).ok())
    }

    /// The same with this scope, and a name.
    pub(crate) fn scoped(&self, name: &str, scope: &str) -> Made {
        self.token(&["--name", name, "--scope", scope])
    }

    /// A file with these lines.
    pub(crate) fn file(&self, lines: &[&str]) -> String {
        let path = self.home.path().join("lines.txt");
        std::fs::write(&path, lines.join("\n") + "\n").expect("a file");
        path.display().to_string()
    }

    /// What the operator's command prints, or its error.
    pub(crate) fn keygate(&self, args: &[&str]) -> Result<Value, String> {
        let output = self.home.command(args).output().expect("keygate runs");
        let text = |bytes| String::from_utf8(bytes).expect("keygate prints text");
        let (out, err) = (text(output.stdout), text(output.stderr));
        if output.status.success() { Ok(serde_json::from_str(&out).expect("JSON")) } else { Err(err) }
    }

    /// What the API answers to this token.
    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.server.send("GET", path, &[("Fastly-Key", token)], "")
    }

    /// What the API answers to this token, and to this body.
    pub(crate) fn send(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        let headers = [("Fastly-Key", token), ("Content-Type", "application/json")];
        self.server.send(method, path, &headers, &body.to_string())
    }

    /// What logging in with this password is answered.
    pub(crate) fn log_in(&self, login: &str, password: &str) -> Answer {
        let body = json!({ "username": login, "password": password }).to_string();
        self.server.send("POST", "/tokens", &[("Content-Type", "application/json")], &body)
    }

    /// The letters that were sent, the oldest first; there is one, and no answer waits for it.
    pub(crate) fn letters(&self) -> Vec<Value> {
        let read = || std::fs::read_to_string(self.home.path().join(OUTBOX)).unwrap_or_default();
        let lines = (0..500).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            Some(read()).filter(|lines| !lines.is_empty())
        });
        lines.unwrap_or_default().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Sets a password by the code of a letter: the status.
    pub(crate) fn reset(&self, letter: &Value, password: &str) -> u16 {
        let body = json!({ "code": letter["code"], "password": password }).to_string();
        self.server.send("POST", "/password/reset", &[("Content-Type", "application/json")], &body).status
    }

    /// Whether this token is good for anything.
    pub(crate) fn is_alive(&self, token: &str) -> bool {
        match self.get("/tokens/self", token).status {
            200 => true,
            401 => false,
            other => panic!("/tokens/self answered {other}"),
        }
    }

    /// The names of Ada's living tokens, oldest first.
    pub(crate) fn token_names(&self) -> Vec<String> {
        names(&self.get("/tokens", &self.root).json())
    }

    /// The names of the services, oldest first.
    pub(crate) fn service_names(&self) -> Vec<String> {
        names(&self.get("/service?per_page=1000", &self.root).json())
    }

    /// The events of this kind in the audit log, oldest first, each with the attributes that it has.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let path = format!("/events?filter[event_type]={kind}&page[size]=1000&sort=created_at");
        let page = self.get(&path, &self.root).json();
        let events = page["data"].as_array().expect("a list").iter();
        events.map(|event| event["attributes"].clone()).collect()
    }

    /// The last event of this kind.
    pub(crate) fn last_event(&self, kind: &str) -> Value {
        self.events(kind).pop().unwrap_or_else(|| panic!("no event {kind}"))
    }
}

impl Made {
    /// From `SUCCESS: Created token 'SECRET' (name: N, id: ID, scope: S, expires: E)`.
    pub(crate) fn read(told: &str) -> Self {
        let between =
            |before, after| told.split_once(before)?.1.split_once(after).map(|(found, _)| found.to_owned());
        let (secret, id) = (between("Created token '", "'"), between(", id: ", ","));
        Self { secret: secret.expect("a secret"), id: id.expect("an id") }
    }
}

fn names(list: &Value) -> Vec<String> {
    let list = list.as_array().expect("a list").iter();
    list.map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
}
