//! The HTTP layer: what every resource needs to read a request and to answer it. It imports
//! nothing from the rest of the crate.

pub mod body;
pub mod edge;
pub mod error;
pub mod fields;
pub mod format;
pub mod gateway;
pub mod idempotency;
pub mod origin;
pub mod page;
pub mod path;
pub mod problems;
pub mod query;
pub mod response;
pub mod transaction;
