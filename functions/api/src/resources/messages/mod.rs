//! Messages across schedules.

pub mod list;
pub mod store;
