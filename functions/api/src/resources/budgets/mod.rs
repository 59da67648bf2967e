//! `/v1/budgets`: how many parts, or how much money, may be sent in a day or a month.

mod change;
mod create;
mod list;
mod request;
pub mod routes;
mod store;
pub mod view;
