//! A real Envoy from the files that we ship, in front of an API that notes what it gets, with the real `keygate` as
//! `ext_authz`: over gRPC and over HTTP. And the way in over gRPC alone, with messages that no Envoy sends.

#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../support/process.rs"]
mod process;

mod api;
mod edge;
mod house;
mod wire;
mod witness;

mod denials;
mod direct;
mod files;
mod identity;
mod networks;
mod outage;
mod paths;
