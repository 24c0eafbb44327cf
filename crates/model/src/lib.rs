//! What things are and what is allowed.
//!
//! Pure on purpose: no I/O, no async, no clock, no SQL, no HTTP. Time and randomness come in as
//! arguments, so every rule here can be tested by calling it. The one place that decides is
//! [`decide()`](decide::decide); everything else in this crate exists to make its arguments impossible to get
//! wrong.

pub mod action;
pub mod ask;
pub mod authorization;
pub mod base62;
pub mod customer;
pub mod decide;
pub mod enforce;
pub mod event;
pub mod freshness;
pub mod host;
pub mod id;
pub mod link;
pub mod mass_revoke;
pub mod network;
pub mod otp;
pub mod permit;
pub mod policy;
pub mod record;
pub mod service;
pub mod time;
pub mod token;
pub mod user;
pub mod version;

pub use action::{Action, ActionSet};
pub use ask::{Ask, Method, Path};
pub use decide::{Circumstances, Deny, Standing, Unsure, Verdict, Want, decide};
pub use event::{Event, Position, Subject};
pub use freshness::{Freshness, Knowledge, Outage};
pub use host::Host;
pub use id::{
    AuthorizationId, CustomerId, EventId, InvitationId, MassRevokeId, PolicyId, ServiceId, TokenId, UserId,
};
pub use network::Networks;
pub use permit::{Actor, Permit};
pub use policy::Policy;
pub use record::{Batch, Record};
pub use service::Services;
pub use time::{Expiry, Span, Timestamp, Uptime};
pub use token::{Digest, Secret};
