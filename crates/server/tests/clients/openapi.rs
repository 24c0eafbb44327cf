//! schemathesis against what Keygate says of itself: made-up requests, good and bad, must get the statuses, the types
//! and the shapes that the document promises, and never a server error. What it asks, and which of its checks do not
//! apply, stands in `crates/server/openapi/schemathesis.toml`.

use std::process::Command;

use serde_json::json;

use crate::{
    client::at,
    house::{House, PASSWORD},
};

const SCHEMATHESIS: &str = "target/clients/python/bin/schemathesis";
const SETTINGS: &str = "crates/server/openapi/schemathesis.toml";

/// The same requests each time, as far as the answers are the same.
const SEED: &str = "20260101";

/// How long one run may take beyond the time that it was given, in seconds.
const SPARE_SECONDS: u32 = 60;

/// Nearly all of the requests would be over the quota.
const NO_QUOTA: &str = "[quota]\nper_token = 4000000000\nper_person = 4000000000\n";

/// What takes the asking token, its customer or its service away.
const LAST_THINGS: [&str; 7] = [
    "revokeTokenSelf",
    "revokeToken",
    "revokeTokens",
    "massRevokeTokens",
    "deleteService",
    "updateCustomer",
    "closeCustomer",
];

#[test]
fn openapi_is_kept_by_a_superuser() {
    let house = House::with(&[], NO_QUOTA);
    let asked = for_each("--exclude-operation-id");
    let report = run(&house, &in_sudo(&house), "examples,coverage,fuzzing,stateful", 90, &asked);
    assert!(house.is_alive(&house.root), "the token it used did not outlive it:\n{report}");
}

#[test]
fn openapi_is_kept_to_the_end() {
    let house = House::with(&[], NO_QUOTA);
    run(&house, &in_sudo(&house), "examples,coverage", 20, &for_each("--include-operation-id"));
}

#[test]
fn openapi_is_kept_to_a_stranger() {
    let house = House::with(&[], NO_QUOTA);
    let report = run(&house, "", "examples,coverage", 30, &[]);
    assert!(house.is_alive(&house.root), "a stranger changed something:\n{report}");
}

/// Ada's token, in sudo.
fn in_sudo(house: &House) -> String {
    let reply = house.send("POST", "/sudo", &house.root, &json!({ "password": PASSWORD }));
    assert_eq!(reply.status, 200, "{}", reply.body);
    house.root.clone()
}

fn for_each(option: &'static str) -> Vec<&'static str> {
    LAST_THINGS.iter().flat_map(|operation| [option, operation]).collect()
}

/// Asks with this token for so many seconds, and returns the report, which must name nothing that is wrong.
fn run(house: &House, token: &str, phases: &str, seconds: u32, asked: &[&str]) -> String {
    let (settings, schemathesis) = (at(SETTINGS), at(SCHEMATHESIS));
    let mut command = Command::new("timeout");
    command.arg((seconds + SPARE_SECONDS).to_string()).arg(schemathesis);
    command.arg("--no-color").arg("--config-file").arg(settings);
    command.arg("run").arg(format!("http://{}/openapi.json", house.server.address));
    command.args(["--seed", SEED, "--phases", phases, "--max-time", &seconds.to_string()]).args(asked);
    // It leaves its own notes in the folder it runs in.
    command.current_dir(house.home.path()).env_clear();
    command.envs([("KEYGATE_TOKEN", token), ("KEYGATE_CUSTOMER", &house.customer)]);
    command.envs([("KEYGATE_SERVICE", house.shop.as_str()), ("PYTHONDONTWRITEBYTECODE", "1")]);
    command.env("HOME", house.home.path()).env("PATH", std::env::var("PATH").unwrap_or_default());
    let output = command.output().expect("timeout runs");
    let (report, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}:\n{report}\n{said}", output.status);
    report.into_owned()
}
