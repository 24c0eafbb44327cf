//! Histories of two nodes and the gates that follow them, real processes on one PostgreSQL, and a checker that reads them
//! afterwards. `KEYGATE_NIGHTLY=1` makes them longer.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]
#![expect(clippy::print_stderr, reason = "the figures are for whoever runs it")]

mod book;
mod checker;
mod estate;
mod faults;
mod line;
#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../support/process.rs"]
mod process;
mod races;
mod rights;
mod tokens;
mod trials;

/// How many of something: all of it in the nightly run, a share in everybody's.
fn share(all: usize, share: usize) -> usize {
    if std::env::var_os("KEYGATE_NIGHTLY").is_some() { all } else { share }
}
