//! The transaction of an API call: begin, commit or roll back, and retry lock conflicts.

use futures_util::future::BoxFuture;
use shared::platform::db::{
    Db,
    transaction::{Transaction, transaction_if},
};

use crate::http::error::ApiError;

/// Runs `work` in a transaction of its own, and retries all of it while it fails with a lock
/// conflict. Commits if `work` succeeds, and rolls back if it returns an error.
pub async fn transaction<'a, T>(
    db: &Db,
    work: impl for<'c> FnMut(&'c mut Transaction<'a>) -> BoxFuture<'c, Result<T, ApiError>>,
) -> Result<T, ApiError> {
    transaction_if(db, |_| true, ApiError::database, work).await
}
