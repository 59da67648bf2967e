//! Messages across schedules.

pub mod routes;
pub mod store;

pub mod list;
