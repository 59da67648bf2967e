//! The recipients of a schedule: append, also as a dry run, list and report.

pub mod append;
pub mod dry_run;
pub mod list;
pub mod report;
pub mod routes;
pub mod store;
