//! What the authority promises, tried through its public face on a real database. One file a noun; `planted` alone knows
//! that the database is SQLite.

mod ask;
mod authorization;
mod automation;
mod customer;
mod event;
mod factor;
mod feed;
mod house;
mod import;
mod invitation;
mod key;
mod login;
mod offboard;
mod order;
mod password;
mod planted;
mod service;
mod sudo;
mod token;
mod user;
mod version;
