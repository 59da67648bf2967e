//! The resources of the API, one folder for each, named as in the path.
//!
//! In each folder: the request types and handlers, and in `store.rs` the statements that only this
//! resource executes.

pub mod api_keys;
pub mod attention;
pub mod audit;
pub mod budgets;
pub mod carriers;
pub mod console;
pub mod documentation;
pub mod health;
pub mod messages;
pub mod people;
pub mod prices;
pub mod problems;
pub mod receipts;
pub mod recipients;
pub mod schedules;
pub mod second_factor;
pub mod senders;
pub mod sessions;
pub mod spreadsheets;
pub mod suppressions;
pub mod system;
pub mod uncertain;
pub mod users;
pub mod webhooks;
