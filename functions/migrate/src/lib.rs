//! The library of migrate: statements with the rights of its own database user.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bootstrap;
pub mod sending;
