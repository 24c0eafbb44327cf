//! The whole server, as its clients meet it: over TCP, through the door, onto a database in a directory of its own.

mod abuse;
mod access;
mod carriers;
mod conformance;
mod estate;
mod house;
mod identity_jwt;
mod min_position;
mod oauth;
mod offboard;
mod patience;
mod policies;
mod quota;
mod recordings;
mod routes;
mod smuggling;
mod tenants;
mod watching;
