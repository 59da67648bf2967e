//! Messages across schedules.

pub mod list;
pub mod routes;
pub mod store;
