//! The recipients of a schedule: append, also as a dry run, and list.

pub mod append;
pub mod dry_run;
pub mod list;
pub mod routes;
pub mod store;
