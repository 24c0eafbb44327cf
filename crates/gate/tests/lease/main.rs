//! Leases: what a gate answers that is cut off, and the protocol in a network that does what it likes.

mod check;
mod gate;
mod world;
