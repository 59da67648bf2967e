//! The recipients of a schedule: append, also as a dry run, list and report; single ones are cancelled
//! and changed.

pub mod append;
pub mod dry_run;
pub mod list;
pub mod one;
pub mod report;
pub mod routes;
pub mod store;
