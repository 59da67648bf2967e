//! Messages across schedules.

pub mod list;
