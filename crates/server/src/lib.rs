//! HTTP, command line, and what ties the rooms together: here the feed of the authority is handed to the gate.

pub mod api;
pub mod app;
mod behind;
mod body;
mod caller;
pub mod canary;
pub mod cli;
pub mod config;
mod door;
pub mod edge;
mod enforce;
mod error;
pub mod feed;
pub mod front;
mod json;
pub mod log;
mod metrics;
pub mod openapi_import;
#[cfg(feature = "otel")]
mod otel;
pub mod outbox;
mod patience;
mod post;
pub mod proxy;
pub mod quota;
mod readiness;
mod request_id;
pub mod router;
pub mod serve;
mod stranded;
mod systemd;
pub mod ways;
