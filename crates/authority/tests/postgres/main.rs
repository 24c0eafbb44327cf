//! The same promises on PostgreSQL: every file of `tests/contract` but the two that know their database.

#[path = "../contract/ask.rs"]
mod ask;
#[path = "../contract/authorization.rs"]
mod authorization;
#[path = "../contract/automation.rs"]
mod automation;
#[path = "../contract/canary.rs"]
mod canary;
mod copy;
#[path = "../contract/customer.rs"]
mod customer;
#[path = "../contract/event.rs"]
mod event;
#[path = "../contract/factor.rs"]
mod factor;
#[path = "../contract/feed.rs"]
mod feed;
#[path = "../contract/gates.rs"]
mod gates;
#[path = "../contract/house.rs"]
mod house;
#[path = "../contract/import.rs"]
mod import;
mod intruder;
#[path = "../contract/invitation.rs"]
mod invitation;
#[path = "../contract/key.rs"]
mod key;
#[path = "../contract/login.rs"]
mod login;
#[path = "../contract/mass_revoke.rs"]
mod mass_revoke;
#[path = "../contract/offboard.rs"]
mod offboard;
#[path = "../contract/order.rs"]
mod order;
#[path = "../contract/password.rs"]
mod password;
mod roles;
#[path = "../contract/service.rs"]
mod service;
mod store;
#[path = "../contract/sudo.rs"]
mod sudo;
#[path = "../contract/token.rs"]
mod token;
#[path = "../contract/user.rs"]
mod user;
#[path = "../contract/version.rs"]
mod version;
