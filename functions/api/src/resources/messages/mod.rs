//! `/v1/messages`: messages across schedules.

pub mod cursor;
pub mod find;
pub mod list;
pub mod report;
pub mod routes;
pub mod store;
