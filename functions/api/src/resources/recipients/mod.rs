//! The recipients of a schedule: appended, listed.

pub mod append;
pub mod list;
pub mod load;
pub mod routes;
pub mod store;
