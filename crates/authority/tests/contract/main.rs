//! What the authority promises, tried through its public face on SQLite, and by `tests/postgres` on PostgreSQL. One file a
//! noun; `store` and `planted` alone know which database it is.

mod ask;
mod authorization;
mod automation;
mod canary;
mod customer;
mod event;
mod factor;
mod feed;
mod gates;
mod house;
mod import;
mod invitation;
mod key;
mod login;
mod mass_revoke;
mod offboard;
mod order;
mod password;
mod planted;
mod service;
mod store;
mod sudo;
mod token;
mod user;
mod version;
