//! The library of migrate: statements with the rights of its own database user.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod audit_log;
pub mod bootstrap;
pub mod config;
pub mod pre_traffic;
pub mod schema;
pub mod sending;
