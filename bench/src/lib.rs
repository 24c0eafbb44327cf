//! Benches.
pub mod load;
