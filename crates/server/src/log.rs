//! Logs: structured, to standard error. What may never stand in one: secrets, passwords, codes, seeds, whole paths and
//! queries. Types that hold secrets cannot be printed; requests are logged by their route's pattern.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging: for people on a terminal, as JSON elsewhere. `KEYGATE_LOG` filters, like `info` or `debug`.
pub fn start(default: &str) {
    let filter = EnvFilter::try_from_env("KEYGATE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, as in tests, keeps the first.
    let _ = if std::io::stderr().is_terminal() { builder.try_init() } else { builder.json().try_init() };
}
