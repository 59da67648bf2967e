//! Messages across schedules.

pub mod store;

pub mod list;
