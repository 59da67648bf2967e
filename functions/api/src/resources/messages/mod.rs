//! `/v1/messages`: messages across schedules.

pub mod list;
pub mod routes;
pub mod store;
