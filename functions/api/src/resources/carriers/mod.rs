//! `/v1/carriers`: the limits of the carrier, how much of them is used, and what waits for it.

mod change;
mod list;
pub mod routes;
mod store;
mod view;
