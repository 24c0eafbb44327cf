//! The README's first command, as a newcomer types it.

use std::process::{Command, Output};

fn demo(more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keygate"));
    command.args(["demo", "--exit", "--listen", "127.0.0.1:0"]).args(more);
    command.output().expect("keygate runs")
}

#[test]
fn every_step_of_the_demo_answers_as_it_should() {
    let output = demo(&[]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("Every step answered as it should.") && !told.contains('✗'), "{told}");
    assert!(!told.contains('\u{1b}'), "colours are for terminals");
}

#[test]
fn the_demo_breaks_nothing_that_is_there() {
    let output = demo(&["--data", env!("CARGO_MANIFEST_DIR")]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("is not empty"), "{told}");
}

#[test]
fn cargo_run_is_keygate() {
    let workspace = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .expect("a workspace");
    assert!(
        workspace.contains("default-members = [\"crates/server\"]"),
        "`cargo run --release -- demo` needs it"
    );
}
