//! The recipients of a schedule: append and list.

pub mod append;
pub mod list;
pub mod routes;
pub mod store;
