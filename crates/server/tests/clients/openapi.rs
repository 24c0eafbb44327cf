//! schemathesis against what Keygate says of itself: made-up requests, good and bad, must get the statuses, the types
//! and the shapes that the document promises, and never a server error.

use std::process::Command;

use crate::{
    areas,
    client::{at, print_with_token},
    house::House,
};

const SCHEMATHESIS: &str = "target/clients/python/bin/schemathesis";
/// How long it may take, in seconds.
const TIME_MAX: &str = "180";

#[test]
fn openapi_is_kept() {
    let house = House::new(&[]);
    let document = house.get("/openapi.json", &house.root);
    if !areas::is_on("openapi") {
        assert_eq!(document.status, 404, "{}", document.body);
        return;
    }
    let version = document.json()["openapi"].as_str().expect("a version").to_owned();
    assert!(version.starts_with("3.1."), "{version}");
    let mut command = Command::new("timeout");
    command
        .arg(TIME_MAX)
        .arg(at(SCHEMATHESIS))
        .arg("--config-file")
        .arg(at("tests/clients/schemathesis.toml"));
    command.args(["--no-color", "run"]).arg(format!("http://{}/openapi.json", house.server.address));
    let report = print_with_token(&mut command, &house, "");
    assert!(house.is_alive(&house.root), "the token it used did not outlive it:\n{report}");
}
