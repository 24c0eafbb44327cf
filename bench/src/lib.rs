//! Keygate's benches: each figure beside a yardstick from the same run, as a ratio (DESIGN §9).

pub mod decide;
pub mod durable;
pub mod edge;
pub mod envoy;
pub mod fixture;
pub mod http;
pub mod load;
pub mod many;
pub mod policy;
pub mod proxy;
pub mod report;
pub mod start;
