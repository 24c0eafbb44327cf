//! Keygate's command line as a client: the real binary against a real server, as a person and as a script use it.

#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../support/process.rs"]
mod process;

mod house;
mod stub;
mod terminal;

mod doctor;
mod errors;
mod events;
mod helm;
mod login;
mod policy;
mod shell;
mod systemd;
mod tokens;
