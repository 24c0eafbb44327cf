//! Fastly's own command line, unmodified, against the real server: every command that Keygate answers, what a user
//! sees of it, and what came of it.

#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../support/process.rs"]
mod process;
#[path = "../../../purge/tests/support/varnish.rs"]
mod varnish;

mod fastly;
mod house;

mod auth;
mod authorizations;
mod automation;
mod limits;
mod purge;
mod revoke;
mod services;
mod tokens;
mod users;
mod versions;
