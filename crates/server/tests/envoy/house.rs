//! Keygate with a shop to protect, its ways in for Envoy on a port of their own, and people with tokens.

use std::net::SocketAddr;

use serde_json::json;

use crate::{
    edge::free_port,
    process::{Home, Server},
};

pub(crate) const HOST: &str = "api.shop.example.com";
const PASSWORD: &str = "correct horse battery staple";

const SHOP: &str = r#"
name = "shop"
hosts = ["api.shop.example.com"]
customers = "all"

[actions]
"order:read" = { read = true }
"order:write" = {}
"admin" = { explicit = true }

[scopes]
"shop:read" = ["@read"]
"shop:admin" = ["admin"]

[roles]
"clerk" = ["order:read"]
"engineer" = ["*"]

[routes]
"GET /orders/{order}" = { action = "order:read" }
"GET /orders/admin" = { action = "admin" }
"POST /orders" = { action = "order:write" }
"DELETE /orders/{order}" = { action = "order:write" }
"GET /files/{name}" = { action = "order:read", allow = ["%2f", ";"] }
"GET /raw/{*rest}" = { action = "order:read" }
"GET /health" = { public = true }
"GET /new" = { unclassified = true }
"#;

/// The house.
pub(crate) struct House {
    pub(crate) server: Option<Server>,
    /// Where Envoy asks.
    pub(crate) gate: SocketAddr,
    pub(crate) customer: String,
    /// An engineer's, for everything that is not explicit.
    pub(crate) token: Token,
    /// The same person's, for reading.
    pub(crate) reader: Token,
    pub(crate) home: Home,
}

/// A token.
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) user: String,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With more in its configuration.
    pub(crate) fn with(settings: &str) -> Self {
        let home = Home::new();
        let gate = free_port();
        let ways = ["envoy", "envoy-grpc"]
            .map(|kind| format!("[[way]]\nkind = {kind:?}\nlisten = \"{gate}\"\ntrusted = \"127.0.0.1\"\n"));
        std::fs::write(home.path().join("keygate.toml"), format!("{}{settings}", ways.concat()))
            .expect("a configuration");
        let policy = home.path().join("shop.toml");
        std::fs::write(&policy, SHOP).expect("a policy");
        let customer = home.customer("Acme");
        let applied =
            home.command(&["policy", "apply", "shop.toml", "--yes"]).output().expect("keygate runs");
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
        home.user(&customer, "bob@example.com", "engineer", PASSWORD);
        let server = home.serve();
        let token = Token::make(&server, "bob@example.com", "global");
        let reader = Token::make(&server, "bob@example.com", "shop:read");
        Self { server: Some(server), gate, customer, token, reader, home }
    }

    /// The server.
    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().expect("it serves")
    }

    /// Somebody else's token.
    pub(crate) fn token_of(&self, login: &str, role: &str, scope: &str) -> Token {
        self.home.user(&self.customer, login, role, PASSWORD);
        Token::make(self.server(), login, scope)
    }
}

impl Token {
    fn make(server: &Server, login: &str, scope: &str) -> Self {
        let body = json!({ "username": login, "password": PASSWORD, "name": scope, "scope": scope });
        let made =
            server.send("POST", "/tokens", &[("Content-Type", "application/json")], &body.to_string()).json();
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        Self { id: text("id"), secret: text("access_token"), user: text("user_id") }
    }
}
