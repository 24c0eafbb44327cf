//! Purges, fanned out to the caches of a service.
//!
//! A [`Target`] says where a service's objects are cached, [`What`] says which of them must go, and a [`Purger`] asks
//! every node and [`Report`]s what each one answered. The other end of the wire is `deploy/varnish/keygate.vcl`; the
//! protocol between the two is written down at its head.
//!
//! Everything that comes from outside (a domain, a node, a key, a URL) is parsed once into a type of its own, so the
//! code that sends cannot meet a malformed one.

mod domain;
mod key;
mod node;
mod order;
mod purger;
mod report;
mod target;
mod url;
mod what;

pub use domain::{Domain, NotDomain};
pub use key::{Key, Keys, NotKey, NotKeys};
pub use node::{Node, NotNode};
pub use purger::Purger;
pub use report::{Miss, Outcome, Report};
pub use target::{NotTarget, Target};
pub use url::{NotUrl, Path, Url};
pub use what::{Mode, What};
