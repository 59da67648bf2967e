//! What `migrate` does with the rights of its own database user, beside running the migrations.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bootstrap;
