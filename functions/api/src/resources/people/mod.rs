//! `/v1/people/{phone}`: everything that is known of one number, and its erasure.

pub mod erase;
pub mod routes;
pub mod show;
pub mod store;
