//! Transactions: begin, commit or roll back, and retry lock conflicts, in one place.
//!
//! A transaction is never left to its drop: a frozen environment would keep the locks.

use std::{
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use futures_util::future::BoxFuture;
use sqlx::{MySqlConnection, TransactionManager, mysql::MySqlTransactionManager as Manager};

use super::{Db, LockConflictTries, connection::DbConnection, is_lock_conflict};

/// A transaction whose work may also borrow values that live for `'a`.
///
/// With this parameter, a closure can be called with a borrow of the transaction that is shorter
/// than `'a`, and still return a future that captures borrows of `'a`.
pub struct Transaction<'a> {
    connection: DbConnection,
    scope: PhantomData<&'a ()>,
}

impl Transaction<'_> {
    async fn begin(db: &Db) -> sqlx::Result<Self> {
        let mut connection = db.acquire().await?;
        Manager::begin(&mut connection, None).await?;
        Ok(Self {
            connection,
            scope: PhantomData,
        })
    }

    async fn commit(mut self) -> sqlx::Result<()> {
        Manager::commit(&mut self.connection).await?;
        self.connection.trust();
        Ok(())
    }

    async fn roll_back(mut self) -> sqlx::Result<()> {
        Manager::rollback(&mut self.connection).await
    }
}

impl Drop for Transaction<'_> {
    /// Rolls back what was neither committed nor rolled back, because its future was dropped. The
    /// next use of the connection executes it.
    fn drop(&mut self) {
        if Manager::get_transaction_depth(&self.connection) > 0 {
            Manager::start_rollback(&mut self.connection);
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.connection
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.connection
    }
}

/// Runs `work` in its own transaction, and retries all of it while it fails with a lock
/// conflict.
///
/// Commits if `work` returns `Some`. Rolls back if it returns `None` (it found nothing to do) or an
/// error.
pub async fn transaction<'a, T>(
    db: &Db,
    work: impl for<'c> FnMut(&'c mut Transaction<'a>) -> BoxFuture<'c, sqlx::Result<Option<T>>>,
) -> sqlx::Result<Option<T>> {
    transaction_if(db, Option::is_some, |error| Some(error), work).await
}

/// Runs `work` in its own transaction, with errors of any kind `E`.
///
/// Commits if `work` returns a value for which `commits` holds. Rolls back otherwise, and if it
/// returns an error. Retries all of it while it fails with an error in which `as_database_error`
/// finds a lock conflict.
pub async fn transaction_if<'a, T, E: From<sqlx::Error>>(
    db: &Db,
    commits: impl Fn(&T) -> bool,
    as_database_error: impl Fn(&E) -> Option<&sqlx::Error>,
    mut work: impl for<'c> FnMut(&'c mut Transaction<'a>) -> BoxFuture<'c, Result<T, E>>,
) -> Result<T, E> {
    let is_conflict = |error: &E| as_database_error(error).is_some_and(is_lock_conflict);
    let mut tries = LockConflictTries::default();
    loop {
        let mut transaction = Transaction::begin(db).await?;
        let done = work(&mut transaction).await;
        let ended = match &done {
            Ok(value) if commits(value) => transaction.commit().await,
            _ => transaction.roll_back().await,
        };
        let result = match ended {
            Ok(()) => done,
            Err(error) => Err(error.into()),
        };
        match result {
            Err(error) if is_conflict(&error) && tries.wait().await => {}
            result => return result,
        }
    }
}
