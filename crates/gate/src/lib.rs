//! The gate: a replica of what may be allowed, and the decision on it.
//!
//! Takes no lock, awaits nothing and touches no disk to decide. Knows neither the authority nor HTTP: whoever embeds it
//! feeds it [`keygate_model::Batch`]es and asks it with [`keygate_model::Ask`]s.

mod book;
mod gate;
mod identity;
mod replica;
mod shelf;
mod table;
mod usage;
mod word;

pub use gate::{Decided, Gate};
pub use identity::Identity;
pub use usage::{Client, Mark};
