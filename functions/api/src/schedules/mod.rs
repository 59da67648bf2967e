//! Schedules: made, shown, listed, changed, moved from state to state.

pub mod batches;
pub mod change;
pub mod create;
pub mod dry_run;
pub mod edit;
mod examples;
pub mod list;
pub mod moves;
pub mod request;
pub mod show;
pub mod state;
mod texts;
mod window;
