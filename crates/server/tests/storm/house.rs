//! A record with people in it, on PostgreSQL or in a file, and the nodes and gates that serve it.

use std::{net::SocketAddr, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    clock::wait_for,
    http::{Answer, Ask, Client},
    machine::Machines,
    peer::{Peer, free_address},
    process::Home,
};

pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const LOGIN: &str = "operator@example.com";

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

/// It.
pub(crate) struct House {
    pub(crate) home: Home,
    /// The arguments that name the database.
    there: Vec<String>,
    operator: String,
}

/// A node or a gate, and where it can be asked.
pub(crate) struct Place {
    pub(crate) peer: Peer,
    /// `/readyz`, and a node's API.
    pub(crate) at: SocketAddr,
    /// The way in for nginx.
    pub(crate) way: SocketAddr,
}

/// A token, and what it is called.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl House {
    /// On a machine with PostgreSQL, with leases of so many seconds.
    pub(crate) fn on_postgres(machines: &Machines, name: &str, lease: u64) -> Self {
        let home = Home::new();
        let (owner, db) = (machines.address("postgres", name), machines.address("keygate", name));
        home.run(&["migrate", "--db", &owner, "--serve-role", "keygate"], "");
        Self::furnish(
            home,
            vec!["--db".to_owned(), db, "--key-file".to_owned(), "keygate.key".to_owned()],
            lease,
        )
    }

    /// In a file.
    pub(crate) fn in_a_file(lease: u64) -> Self {
        Self::furnish(Home::new(), Vec::new(), lease)
    }

    /// In this one.
    pub(crate) fn in_the_file(db: &Path, lease: u64) -> Self {
        Self::furnish(Home::new(), vec!["--db".to_owned(), format!("sqlite:{}", db.display())], lease)
    }

    fn furnish(home: Home, there: Vec<String>, lease: u64) -> Self {
        std::fs::write(home.path().join("shop.toml"), SHOP).unwrap();
        let mut house = Self { home, there, operator: String::new() };
        let made = house.run(&["customer", "create", "--name", "Operator"], "");
        made["id"].as_str().unwrap().clone_into(&mut house.operator);
        house.person(LOGIN);
        let apply =
            house.home.command(&["policy", "apply", "shop.toml", "--yes"]).args(&house.there).output();
        assert!(apply.as_ref().unwrap().status.success(), "{apply:?}");
        let settings = format!(
            "[feed]\noperators = [{:?}]\n[node]\nlease_seconds = {lease}\n[login]\nfailures_burst = 100000\n\
             [quota]\nper_token = 10000000\nper_person = 10000000\n",
            house.operator
        );
        std::fs::write(house.home.path().join("keygate.toml"), settings).unwrap();
        house
    }

    /// The record is elsewhere from now on.
    pub(crate) fn moves(&mut self, there: Vec<String>) {
        self.there = there;
    }

    /// Runs a command on the record, which must succeed.
    pub(crate) fn run(&self, args: &[&str], stdin: &str) -> Value {
        let there = self.there.iter().map(String::as_str);
        self.home.run(&args.iter().copied().chain(there).collect::<Vec<_>>(), stdin)
    }

    /// Adds a superuser.
    pub(crate) fn person(&self, login: &str) {
        let whose = ["user", "create", "--customer", &self.operator, "--login", login, "--name", login];
        self.run(&[&whose[..], &["--role", "superuser", "--password-stdin"]].concat(), PASSWORD);
    }

    /// The server's command, for whoever starts it in another way.
    pub(crate) fn serve(&self, at: SocketAddr, there: &[String]) -> std::process::Command {
        let at = at.to_string();
        let args = ["serve", "--listen", &at, "--config", "keygate.toml", "--ways-here"];
        let mut command = self.home.command(&args);
        command.args(there);
        command
    }

    /// Starts a node at this address, with this in its environment.
    pub(crate) fn node(&self, at: SocketAddr, env: &[(&str, &str)]) -> Place {
        let mut command = self.serve(at, &self.there);
        command.envs(env.iter().copied());
        Place { peer: Peer::start(command), at, way: at }
    }

    /// Starts a gate that follows, which is called so and keeps what it knows.
    pub(crate) fn gate(&self, name: &str, follow: SocketAddr, token: &Token, lease: u64) -> Place {
        self.gate_in(&[], name, (free_address(), free_address()), follow, token, lease)
    }

    /// The same with this in its environment, at these addresses: for `/readyz`, and for nginx.
    pub(crate) fn gate_in(
        &self,
        env: &[(&str, &str)],
        name: &str,
        (at, way): (SocketAddr, SocketAddr),
        follow: SocketAddr,
        token: &Token,
        lease: u64,
    ) -> Place {
        let file = format!("{name}.token");
        std::fs::write(self.home.path().join(&file), &token.secret).unwrap();
        std::fs::create_dir_all(self.home.path().join(name)).unwrap();
        let (follow, lease) = (format!("http://{follow}"), lease.to_string());
        let (listen, nginx) = (at.to_string(), format!("nginx={way}"));
        let args = ["gate", "--follow", &follow, "--token-file", &file, "--name", name, "--state", name];
        let places = ["--listen", &listen, "--way", &nginx, "--lease", &lease];
        let mut command = self.home.command(&[&args[..], &places].concat());
        command.envs(env.iter().copied());
        Place { peer: Peer::start(command), at, way }
    }

    /// A superuser's token with this scope, in sudo.
    pub(crate) fn token(&self, node: SocketAddr, login: &str, scope: &str) -> Token {
        let mut client = Client::new(node);
        let body = json!({ "username": login, "password": PASSWORD, "name": scope, "scope": scope });
        let token = made(&client.must(&Ask::new("POST /tokens").json(&body)));
        renew_sudo(&mut client, &token);
        token
    }

    /// A token of the operator's.
    pub(crate) fn operators(&self, node: SocketAddr, scope: &str) -> Token {
        self.token(node, LOGIN, scope)
    }

    /// A token for a gate.
    pub(crate) fn gate_token(&self, node: SocketAddr) -> Token {
        let person = self.operators(node, "global feed");
        let body = json!({ "name": "a gate", "role": "gate", "scope": "feed" });
        made(&Client::new(node).must(&Ask::new("POST /automation-tokens").key(&person.secret).json(&body)))
    }
}

impl Place {
    /// Waits until it can tell.
    pub(crate) fn once_ready(self) -> Self {
        wait_for("a process to be ready", Duration::from_secs(20), || {
            let answer = Client::new(self.at).ask(&Ask::new("GET /readyz"));
            answer.ok().filter(|answer| answer.status == 200)
        });
        self
    }
}

/// Shows the password once more.
pub(crate) fn renew_sudo(client: &mut Client, token: &Token) -> bool {
    let ask = Ask::new("POST /sudo").key(&token.secret).json(&json!({ "password": PASSWORD }));
    client.ask(&ask).is_ok_and(|answer| answer.is_ok())
}

/// The token in an answer that must be good.
pub(crate) fn made(answer: &Answer) -> Token {
    assert!(answer.is_ok(), "{} {}", answer.status, answer.json());
    Token { id: answer.text("id"), secret: answer.text("access_token") }
}

/// What nginx asks about a request with this token.
pub(crate) fn question(secret: &str) -> Ask {
    Ask::new("GET /authz/auth-request")
        .key(secret)
        .header("X-Original-Method", "GET")
        .header("X-Original-URL", "https://api.shop.example.com/orders/17")
        .header("X-Forwarded-For", "192.0.2.1")
}
