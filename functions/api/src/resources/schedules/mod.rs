//! Schedules: made, shown, listed, changed, moved from state to state.

pub mod arrange_dispatch;
pub mod batch_store;
pub mod forecast;
pub mod list_store;
pub mod moves_store;
pub mod routes;
pub mod store;

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
