//! The real binary under what a lab is needed for: kills at random moments, a disk that forgets, measured time, secrets
//! in the wrong places. Each module proves with a negative control that it would see what it looks for.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "numbers are for who reads the run; what fails in a test's helper fails the test"
)]

mod canary;
mod clock;
mod crash;
mod house;
mod http;
mod shim;
mod timing;
