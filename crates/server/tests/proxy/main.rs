//! The reverse proxy between raw sockets: what one side writes, and what the other side reads of it.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

mod bodies;
mod clients;
mod failures;
mod forwarded;
mod same;
mod smuggling;
mod stop;
mod tunnels;
mod upstreams;
mod wire;
mod world;
