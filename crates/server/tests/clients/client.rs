//! The clients, each alone with the server: a home of its own, no other environment, no token but the one it is given.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{areas, house, house::House, steps::Steps};

/// Where the clients are, seen from the workspace root.
const SCRIPTS: &str = "tests/clients";
const PYTHON: &str = "target/clients/python/bin/python";
const RUST: &str = "target/clients/rust/debug/fastly-api-client";

/// A proxy that is not there: whoever asks Fastly after all gets nowhere.
const NO_WAY_OUT: &str = "http://127.0.0.1:9";

pub(crate) const CLIENTS: [Client; 3] = [Client::Python, Client::Js, Client::Rust];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Client {
    Python,
    Js,
    Rust,
}

/// One test for each client.
macro_rules! each_client {
    ($test:ident) => {
        mod $test {
            #[test]
            fn python() {
                super::$test(crate::client::Client::Python);
            }
            #[test]
            fn js() {
                super::$test(crate::client::Client::Js);
            }
            #[test]
            fn rust() {
                super::$test(crate::client::Client::Rust);
            }
        }
    };
}
pub(crate) use each_client;

impl Client {
    /// Goes through the script of this area as Ada, with what the script wants to know besides. None: the area is not
    /// there yet, and every call was answered so.
    pub(crate) fn run(self, area: &str, house: &House, more: Value) -> Option<Steps> {
        let mut given = json!({
            "url": format!("http://{}", house.server.address), "token": house.root,
            "login": house::LOGIN, "password": house::PASSWORD,
            "customer": house.customer, "user": house.ada, "service": house.shop,
        });
        let all = given.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        let printed = print(&mut self.script(area), house, &given.to_string());
        let steps = Steps::read(self, area, &printed);
        if areas::is_on(area) {
            return Some(steps);
        }
        steps.assert_not_there();
        None
    }

    /// What a snippet of this client prints. Rust's is compiled, the others run from standard input.
    pub(crate) fn print_snippet(self, snippet: &str, house: &House) -> String {
        let mut command = match self {
            Self::Python => Command::new(at(PYTHON)),
            Self::Js => Command::new("node"),
            Self::Rust => Command::new(at(RUST)),
        };
        command.arg(if self == Self::Rust { "snippet" } else { "-" });
        print_with_token(&mut command, house, snippet)
    }

    /// The folder with the scripts.
    pub(crate) fn folder(self) -> PathBuf {
        at(SCRIPTS).join(match self {
            Self::Python => "python",
            Self::Js => "js",
            Self::Rust => "rust",
        })
    }

    fn script(self, area: &str) -> Command {
        let (program, argument) = match self {
            Self::Python => (at(PYTHON), self.folder().join(format!("{area}.py"))),
            Self::Js => ("node".into(), self.folder().join(format!("{area}.js"))),
            Self::Rust => (at(RUST), area.into()),
        };
        let mut command = Command::new(program);
        command.env_clear().arg(argument);
        command
    }
}

/// What this command prints with Ada's token in its environment.
pub(crate) fn print_with_token(command: &mut Command, house: &House, stdin: &str) -> String {
    let url = format!("http://{}", house.server.address);
    // A script has the token from its input: the JavaScript client would take one from here over any that it is given.
    let with = [("FASTLY_API_TOKEN", house.root.as_str()), ("KEYGATE_URL", &url)];
    print(command.env_clear().envs(with), house, stdin)
}

/// What this command prints, which must succeed. It starts with nothing in its environment but what it has been given.
fn print(command: &mut Command, house: &House, stdin: &str) -> String {
    command.env("HOME", house.home.path()).env("PYTHONDONTWRITEBYTECODE", "1").env("HTTPS_PROXY", NO_WAY_OUT);
    command.env("PATH", std::env::var("PATH").unwrap_or_default()).current_dir(at(SCRIPTS));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = command.get_program().to_owned();
    let mut child = command.spawn().unwrap_or_else(|why| {
        panic!("{} does not start ({why}), and these tests need it: run ./dev setup", program.display())
    });
    child.stdin.take().expect("its input").write_all(stdin.as_bytes()).expect("it reads its input");
    let output = child.wait_with_output().expect("its end");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {}\n{out}\n{err}", program.display(), output.status);
    out.into_owned()
}

/// A path from the workspace root, which must be there.
pub(crate) fn at(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace");
    // Not resolved further: a virtual environment is the folder of the link, not of the interpreter.
    let there = root.join(path);
    assert!(there.exists(), "There is no {path}, and these tests need it: run ./dev setup");
    there
}
