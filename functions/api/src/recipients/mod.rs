//! The recipients of a schedule: appended, listed.

pub mod append;
pub mod list;
