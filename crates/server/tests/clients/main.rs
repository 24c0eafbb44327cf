//! Fastly's own client libraries for Python, JavaScript and Rust, unmodified, against the real server: one script of
//! each client for each area of the API, what the client made of the answers, and what came of it. And schemathesis
//! against what Keygate says of itself.

#[expect(dead_code, reason = "the Fastly CLI has tests of its own, which use more of it")]
#[path = "../fastly_cli/fastly.rs"]
mod fastly;
#[expect(dead_code, reason = "the Fastly CLI has tests of its own, which use more of it")]
#[path = "../fastly_cli/house.rs"]
mod house;
#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../support/process.rs"]
mod process;
#[path = "../../../purge/tests/support/varnish.rs"]
mod varnish;

mod areas;
mod client;
mod steps;

mod account;
mod automation;
mod events;
mod iam;
mod oauth;
mod openapi;
mod purge;
mod services;
mod sharing;
mod snippets;
mod tokens;
