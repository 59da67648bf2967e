//! `/v1/audit`: who changed what. The rows are written by [`crate::auth::Caller::record`], in the transaction of each change.

pub mod list;
pub mod routes;
pub mod store;
