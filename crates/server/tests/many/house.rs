//! A node, with a shop to protect, people with tokens, and tokens for gates.

use serde_json::{Value, json};

use crate::process::{Answer, Home, Server};

pub(crate) const HOST: &str = "api.shop.example.com";
const PASSWORD: &str = "correct horse battery staple";

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

[routes]
"GET /orders/{order}" = { action = "order:read" }
"#;

/// A customer with its superuser.
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) login: String,
}

/// A token.
pub(crate) struct Token {
    pub(crate) secret: String,
}

/// The house.
pub(crate) struct House {
    pub(crate) node: Server,
    /// The operator's own, whose gates are told of everybody.
    pub(crate) operator: Customer,
    /// Another.
    pub(crate) tenant: Customer,
    pub(crate) home: Home,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With more in the node's configuration.
    pub(crate) fn with(more: &str) -> Self {
        Self::leasing(crate::feed::LEASE_SECONDS, more)
    }

    /// The same, with leases of this length.
    pub(crate) fn leasing(lease: u64, more: &str) -> Self {
        let home = Home::new();
        std::fs::write(home.path().join("shop.toml"), SHOP).unwrap();
        let operator = Customer::new(&home, "operator");
        let tenant = Customer::new(&home, "tenant");
        let applied = home.command(&["policy", "apply", "shop.toml", "--yes"]).output().unwrap();
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
        let settings =
            format!("[feed]\noperators = [{:?}]\n[node]\nlease_seconds = {lease}\n{more}", operator.id);
        std::fs::write(home.path().join("keygate.toml"), settings).unwrap();
        let node = home.serve();
        Self { node, operator, tenant, home }
    }

    /// Where the node is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.node.address)
    }

    /// A gate that follows these nodes, in a process of its own, with the way in for nginx.
    pub(crate) fn gate(&self, urls: &[String], token: &Token, more: &[&str]) -> Server {
        let file = self.home.path().join("gate.token");
        std::fs::write(&file, &token.secret).unwrap();
        let urls = urls.join(",");
        let args = ["gate", "--follow", &urls, "--token-file", "gate.token", "--way", "nginx=127.0.0.1:0"];
        self.home.start(&[&args[..], more].concat())
    }

    /// A token of a customer's superuser.
    pub(crate) fn token(&self, of: &Customer, scope: &str) -> Token {
        let body = json!({ "username": of.login, "password": PASSWORD, "name": scope, "scope": scope });
        Token::of(&self.post("/tokens", &[], &body).json())
    }

    /// The same, and the position that whoever decides about it must have applied.
    pub(crate) fn token_at(&self, of: &Customer, scope: &str) -> (Token, String) {
        let body = json!({ "username": of.login, "password": PASSWORD, "name": scope, "scope": scope });
        let made = self.post("/tokens", &[], &body);
        let position = made.head.lines().find_map(|line| line.strip_prefix("keygate-position: "));
        (Token::of(&made.json()), position.unwrap().trim().to_owned())
    }

    /// A token for a gate.
    pub(crate) fn gate_token(&self, of: &Customer) -> Token {
        let person = self.token(of, "global feed");
        let key = [("Fastly-Key", person.secret.as_str())];
        self.post("/sudo", &key, &json!({ "username": of.login, "password": PASSWORD })).json();
        let body = json!({ "name": "a gate", "role": "gate", "scope": "feed" });
        Token::of(&self.post("/automation-tokens", &key, &body).json())
    }

    /// Revokes a token, as itself.
    pub(crate) fn revoke(&self, token: &Token) {
        let answer = self.node.send("DELETE", "/tokens/self", &[("Fastly-Key", &token.secret)], "");
        assert_eq!(answer.status, 204, "{}", answer.body);
    }

    /// The same, answered when it is enforced, or after a while.
    pub(crate) fn revoke_and_wait(&self, token: &Token, prefer: &str) -> Answer {
        let headers = [("Fastly-Key", token.secret.as_str()), ("Prefer", prefer)];
        self.node.send("DELETE", "/tokens/self", &headers, "")
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers = [headers, &[("Content-Type", "application/json")]].concat();
        self.node.send("POST", path, &headers, &body.to_string())
    }
}

/// What a gate says of a token: the status that nginx gets.
pub(crate) fn asked(gate: &Server, token: &Token) -> u16 {
    let url = format!("https://{HOST}/orders/17");
    let headers = [
        ("Fastly-Key", token.secret.as_str()),
        ("X-Original-Method", "GET"),
        ("X-Original-URL", &url),
        ("X-Forwarded-For", "192.0.2.1"),
    ];
    gate.send("GET", "/authz/auth-request", &headers, "").status
}

impl Customer {
    fn new(home: &Home, name: &str) -> Self {
        let (id, login) = (home.customer(name), format!("{name}@example.com"));
        home.user(&id, &login, "superuser", PASSWORD);
        Self { id, login }
    }
}

impl Token {
    fn of(made: &Value) -> Self {
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Self { secret: text("access_token") }
    }
}
