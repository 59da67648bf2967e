//! How every transaction of the API ends, and that one that only lost a deadlock is said again.

use shared::db::{self, repeat_on_deadlock};

use crate::error::ApiError;

/// Commits what went well and takes back what did not. Never left to the drop: a frozen environment would keep the locks.
pub async fn settle<T>(
    transaction: db::Transaction<'_>,
    result: Result<T, ApiError>,
) -> Result<T, ApiError> {
    match result {
        Ok(_) => transaction.commit().await?,
        Err(_) => transaction.rollback().await?,
    }
    result
}

/// Makes `call`, a whole transaction, again for as long as it only lost a deadlock.
pub async fn repeat<T, F>(mut call: impl FnMut() -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let repeated = repeat_on_deadlock(|| {
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
