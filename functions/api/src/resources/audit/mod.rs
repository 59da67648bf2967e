//! `/v1/audit`: who changed what. The rows are written by [`crate::auth::Caller::record`], in the transaction of each change.

pub mod routes;
pub mod store;

pub mod list;
