//! What the authority promises, tried through its public face on a real database. One file a noun; `planted` alone knows
//! that the database is SQLite.

mod event;
mod factor;
mod feed;
mod house;
mod key;
mod login;
mod order;
mod planted;
mod service;
mod sudo;
mod token;
mod version;
