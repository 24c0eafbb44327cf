//! What must leave the caches.

use crate::{Keys, Url};

/// What to purge. Everything can only be purged hard, as at Fastly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Every page that carries one of these keys, on any of the service's domains.
    Keys(Keys, Mode),
    /// One page, in all its variants. Its domain must be the service's own: whoever looked the service up by it knows.
    Url(Url, Mode),
    /// Every page on every domain of the service.
    All,
}

/// How a page is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is gone; the next visitor waits for the origin.
    Hard,
    /// It is stale; within its grace visitors still get it while a fresh one is fetched.
    Soft,
}
