//! `/v1/system`: whether anything is sent at all, and the brake that stops everything at once.

mod change;
pub mod routes;
mod show;
