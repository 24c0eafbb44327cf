//! Real proxies before a protected API, started from the files in `deploy/`: what their clients may send, and what the API
//! gets (CONVENTIONS §0 to §5; SECURITY-BAR K04, B14 to B30, T-21 to T-27).

mod case;
mod dialect;
mod direct;
mod golden;
mod house;
mod kept;
mod outage;
#[expect(dead_code, reason = "shared with tests that use the rest")]
#[path = "../support/process.rs"]
mod process;
mod proxy;
mod recorder;
mod relay;
mod shipped;
mod site;
mod through;
mod wire;
