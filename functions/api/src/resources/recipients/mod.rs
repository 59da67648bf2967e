//! The recipients of a schedule: append, also as a dry run, list, report, and count by group and over
//! time; single ones are cancelled and changed.

pub mod append;
pub mod dry_run;
pub mod found;
pub mod groups;
pub mod list;
pub mod names;
pub mod one;
pub mod progress;
pub mod report;
pub mod routes;
pub mod store;
