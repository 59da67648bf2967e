//! Schedules: made, shown, listed, moved from state to state.

pub mod create;
pub mod list;
pub mod moves;
pub mod request;
pub mod show;
