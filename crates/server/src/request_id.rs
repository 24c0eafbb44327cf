//! Ids of requests, for matching logs: one that a request carries, or a number that this process counts.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::http::HeaderMap;

/// The longest id that is taken from a request.
const LEN_MAX: usize = 128;

/// Makes ids.
pub(crate) struct RequestIds {
    process: u64,
    count: AtomicU64,
}

/// An id.
pub(crate) enum RequestId<'h> {
    Given(&'h str),
    Made(u64, u64),
}

impl RequestIds {
    /// With random bytes that set this process apart from others.
    pub(crate) fn new(process: [u8; 8]) -> Self {
        Self { process: u64::from_be_bytes(process), count: AtomicU64::new(0) }
    }

    /// The id that a request carries, if it is a plain one, or a new one.
    pub(crate) fn of<'h>(&self, headers: &'h HeaderMap) -> RequestId<'h> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
        match given.filter(|id| !id.is_empty() && id.len() <= LEN_MAX && id.bytes().all(plain)) {
            Some(id) => RequestId::Given(id),
            None => RequestId::Made(self.process, self.count.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

impl fmt::Display for RequestId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(id) => f.write_str(id),
            Self::Made(process, count) => write!(f, "{process:016x}{count:08x}"),
        }
    }
}
