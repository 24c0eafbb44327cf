//! Many: real nodes, and gates that follow them without a database, on this machine.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

mod canary;
mod failover;
mod feed;
mod gates;
mod house;
mod kept;
mod listed;
mod mass_revoke;
mod min_position;
mod patroni;
#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../support/process.rs"]
mod process;
mod proxy;
mod raw;
mod receipts;
mod restored;
mod tls;
