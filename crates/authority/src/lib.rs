//! Every verb that changes something, with the SQL under it, and the event log that is the only way to commit.
//!
//! Knows no HTTP and no gate: what changes is told to a [`Sink`](feed::Sink), and whoever opens the authority says where
//! that leads. A noun has one file: its row, its seal, its verbs.

pub mod audit;
pub mod authority;
mod chain;
mod change;
pub mod customer;
pub mod db;
pub mod denial;
pub mod epoch;
pub mod event;
pub mod factor;
pub mod fault;
mod feed;
pub mod gates;
pub mod invitation;
pub mod keys;
pub mod login;
pub mod mass_revoke;
pub mod origin;
pub mod password;
pub mod policy;
mod row;
pub mod service;
pub mod signer;
mod snapshot;
mod text;
pub mod token;
pub mod usage;
pub mod user;
pub mod vitals;
mod write;

pub use authority::{Authority, Settings};
pub use fault::{Fault, LoginRefusal};
pub use feed::Sink;
pub use origin::Origin;
