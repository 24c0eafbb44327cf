//! Logs: structured, to standard error. What may never stand in one: secrets, passwords, codes, seeds, whole paths and
//! queries. Types that hold secrets cannot be printed; requests are logged by their route's pattern.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Starts logging: for people on a terminal, as JSON elsewhere. `KEYGATE_LOG` filters, like `info` or `debug`.
pub fn start(default: &str) {
    let filter = EnvFilter::try_from_env("KEYGATE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if std::io::stderr().is_terminal() { lines.boxed() } else { lines.json().boxed() };
    let all = tracing_subscriber::registry().with(filter).with(lines);
    #[cfg(feature = "otel")]
    let all = all.with(crate::otel::layer());
    // A second start, as in tests, keeps the first.
    let _ = all.try_init();
}
