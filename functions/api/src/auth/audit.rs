//! Changes and their audit row, committed in one transaction.

use std::{
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use futures_util::future::BoxFuture;
use shared::platform::db::Db;
use sqlx::MySqlConnection;

use crate::{
    auth::caller::{Caller, Change},
    http::{error::ApiError, transaction::transaction},
};

/// The transaction that [`audited_transaction`] passes to its work, which may also borrow values
/// that live for `'a`.
pub struct AuditedTransaction<'c, 'a> {
    connection: &'c mut MySqlConnection,
    scope: PhantomData<&'c &'a ()>,
}

impl Deref for AuditedTransaction<'_, '_> {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        self.connection
    }
}

impl DerefMut for AuditedTransaction<'_, '_> {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        self.connection
    }
}

/// Runs `work` and records the change that it returns, in one transaction.
///
/// Works as [`transaction`] does: it retries all of it while it fails with a lock conflict, and
/// rolls back if it returns an error. `work` returns its value and a [`Change`], or `None` in place
/// of the change if it changed nothing. The audit row is the last statement before the commit.
pub async fn audited_transaction<'a, T, C>(
    db: &Db,
    caller: &Caller,
    work: impl for<'c> Fn(AuditedTransaction<'c, 'a>) -> BoxFuture<'c, Result<(T, C), ApiError>> + Sync,
) -> Result<T, ApiError>
where
    T: Send + 'static,
    C: Into<Option<Change<'static>>> + Send + 'static,
{
    let work = &work;
    transaction(db, |connection| {
        Box::pin(async move {
            let (value, change) = work(AuditedTransaction {
                connection,
                scope: PhantomData,
            })
            .await?;
            if let Some(change) = change.into() {
                caller.record(connection, db.now(), change).await?;
            }
            Ok(value)
        })
    })
    .await
}
