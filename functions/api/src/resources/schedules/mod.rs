//! Schedules: create, read, list, change, and move from state to state.

pub mod arrange_dispatch;
pub mod attention;
pub mod batches;
pub mod bulk;
pub mod change;
pub mod create;
pub mod dry_run;
pub mod edit;
pub mod end;
mod examples;
pub mod forecast;
pub mod list;
mod move_request;
pub mod moves;
pub mod names;
pub mod priority;
mod progress;
pub mod request;
pub mod resend;
pub mod routes;
mod run_at;
mod selected;
pub mod show;
pub mod state;
pub mod store;
mod texts;
mod window;
