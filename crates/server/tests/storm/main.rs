//! Storm: real nodes, gates and databases that are killed, stopped, cut off from each other and filled up, while many write
//! and many ask (SECURITY-BAR K08 to K11). Each test shows that it would see what it looks for.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "figures are for who reads the run; what cannot be read fails the test"
)]

#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../fault/clock.rs"]
mod clock;
mod cuts;
mod disk;
mod durable;
mod hang;
mod house;
#[path = "../fault/http.rs"]
mod http;
mod jumps;
mod kills;
mod machine;
mod netns;
mod pauses;
mod peer;
#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../support/process.rs"]
mod process;
mod relay;
mod shim;
mod standby;
mod traffic;
mod watch;
mod writers;
