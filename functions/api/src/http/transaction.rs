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

/// Commits if `result` is a success, and rolls back otherwise. The rollback is never left to the
/// drop: a frozen environment would keep the locks.
pub async fn settle<T>(
    transaction: sqlx::Transaction<'_, sqlx::MySql>,
    result: Result<T, ApiError>,
) -> Result<T, ApiError> {
    match result {
        Ok(_) => transaction.commit().await?,
        Err(_) => transaction.rollback().await?,
    }
    result
}

/// Retries `call`, a whole transaction, while it fails with a lock conflict.
pub async fn repeat<T, F>(mut call: impl FnMut() -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let repeated = shared::platform::db::retry_lock_conflicts(|| {
        let call = call();
        async {
            match call.await {
                Err(ApiError::Database(error)) => Err(error),
                other => Ok(other),
            }
        }
    });
    repeated.await?
}
