//! The reverse proxy between raw sockets: what one side writes, and what the other side reads of it.

mod bodies;
mod clients;
mod failures;
mod forwarded;
mod same;
mod smuggling;
mod stop;
mod tunnels;
mod wire;
mod world;
