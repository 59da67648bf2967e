//! The recipients of a schedule: appended, listed.

pub mod load;
pub mod routes;
pub mod store;
pub mod variables_store;

pub mod append;
pub mod list;
