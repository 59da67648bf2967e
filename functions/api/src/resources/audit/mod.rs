//! `/v1/audit`: the log of changes. [`crate::auth::Caller::record`] writes its rows, in the
//! transaction of each change.

pub mod list;
pub mod routes;
pub mod store;
