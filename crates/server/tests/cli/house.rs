//! A server with two superusers: Ada, who has a second factor, and Bob, who has none; and a service.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::process::{Factor, Home, Server};

pub(crate) const ADA: &str = "ada@example.com";
pub(crate) const BOB: &str = "bob@example.com";
pub(crate) const PASSWORD: &str = "correct horse & battery=staple";

pub(crate) struct House {
    pub(crate) home: Home,
    pub(crate) server: Server,
    pub(crate) customer: String,
    pub(crate) bob: String,
    pub(crate) shop: String,
    pub(crate) factor: Factor,
}

/// What came of a command.
pub(crate) struct Ran {
    told: String,
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl House {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        let customer = home.customer("Acme");
        home.user(&customer, ADA, "superuser", PASSWORD);
        let bob = home.user(&customer, BOB, "superuser", PASSWORD);
        let factor = home.second_factor(ADA);
        let shop = home.service(&customer, "shop", "shop.example", &[]);
        let server = home.serve();
        Self { home, server, customer, bob, shop, factor }
    }

    /// One where Bob is logged in.
    pub(crate) fn of_bob() -> Self {
        let house = Self::new();
        house.run(&["login", "--login", BOB, "--password-stdin"], PASSWORD).ok();
        house
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        command.env("HOME", self.home.path()).env("KEYGATE_URL", self.url());
        command
    }

    pub(crate) fn run(&self, args: &[&str], stdin: &str) -> Ran {
        Ran::of(self.command(args), stdin)
    }

    /// What a command with `--json` printed, which must succeed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let ran = self.run(&[args, &["--json"]].concat(), PASSWORD);
        serde_json::from_str(ran.ok()).expect("JSON")
    }

    /// A token of Bob's: its id and its secret.
    pub(crate) fn token(&self, args: &[&str]) -> (String, String) {
        let made = self.json(&[&["token", "create", "--password-stdin"], args].concat());
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        (text("id"), text("access_token"))
    }

    pub(crate) fn is_alive(&self, secret: &str) -> bool {
        self.server.send("GET", "/tokens/self", &[("Fastly-Key", secret)], "").status == 200
    }

    /// What the server itself says of a living token.
    pub(crate) fn token_of(&self, secret: &str) -> Value {
        self.server.send("GET", "/tokens/self", &[("Fastly-Key", secret)], "").json()
    }

    pub(crate) fn credentials(&self) -> PathBuf {
        self.home.path().join(".config/keygate/credentials.toml")
    }

    /// The secret that a login has kept.
    pub(crate) fn kept(&self) -> String {
        let file = std::fs::read_to_string(self.credentials()).expect("a file of credentials");
        let file: toml::Table = file.parse().expect("TOML");
        file["servers"][self.url().as_str()]["token"].as_str().expect("a token").to_owned()
    }
}

impl Ran {
    pub(crate) fn of(mut command: Command, stdin: &str) -> Self {
        let told = format!("{command:?}");
        let mut child = spawn(&mut command);
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().expect("its input").write_all(stdin.as_bytes());
        let output = child.wait_with_output().expect("its end");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { told, status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What a command that must succeed has printed.
    pub(crate) fn ok(&self) -> &str {
        assert_eq!(self.status, Some(0), "{}\n{}\n{}", self.told, self.out, self.err);
        &self.out
    }

    /// What a command that must fail in this way has said. It has printed nothing.
    pub(crate) fn fails(&self, status: i32) -> &str {
        assert_eq!(self.status, Some(status), "{}\n{}\n{}", self.told, self.out, self.err);
        assert_eq!(self.out, "", "{}", self.told);
        &self.err
    }
}

/// A command that does not end by itself. Dropped, it is killed.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the binary starts")
}
