//! The connection of an environment, kept open between statements.
//!
//! The pool of sqlx tests a connection with a round trip when it is acquired, and with another one
//! when it is released: two round trips for each statement. An environment handles one invocation
//! at a time, so [`Db`] keeps its only connection, and tests it only after some idle seconds, in
//! which the environment may have been frozen, and after a use that may have failed.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{
    StreamExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Connection as _, Either, Execute, Executor, MySql, MySqlConnection, MySqlPool,
    mysql::{MySqlQueryResult, MySqlRow, MySqlStatement, MySqlTypeInfo},
    pool::PoolConnection,
};
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};

use super::{
    CONNECT_TIMEOUT, Db,
    login::{Login, is_refused},
};
use crate::platform::metrics::{self, Counter};

/// A connection that was used within this time is not tested: the server has not closed it.
const TRUSTED_FOR: Duration = Duration::from_secs(5);

/// The connection of an environment.
struct Kept {
    connection: PoolConnection<MySql>,
    /// When it was last used, on two clocks: the monotonic clock may stand still while an
    /// environment is frozen.
    used_at: (Instant, SystemTime),
    /// Its last use may have failed.
    is_doubtful: bool,
    /// When its use began.
    acquired_at: Instant,
}

impl Kept {
    fn new(connection: PoolConnection<MySql>) -> Self {
        Self {
            connection,
            used_at: (Instant::now(), SystemTime::now()),
            is_doubtful: false,
            acquired_at: Instant::now(),
        }
    }

    /// Returns whether the connection works, as far as is known; tests it if that is not known.
    async fn works(&mut self) -> bool {
        let (monotonic, wall) = self.used_at;
        let idle = monotonic.elapsed().max(wall.elapsed().unwrap_or_default());
        let is_trusted = !self.is_doubtful && idle < TRUSTED_FOR;
        is_trusted || self.connection.ping().await.is_ok()
    }
}

/// Where connections come from.
#[derive(Clone, Default)]
pub(super) struct Connections {
    /// The connection that is kept; `None`: each use takes one from the pool, as in tests, which
    /// share a pool of several connections.
    kept: Option<Arc<Mutex<Option<Kept>>>>,
    /// The login, which is renewed when the server refuses it.
    login: Option<Login>,
}

impl Connections {
    /// Keeps one connection, the only one of the pool.
    pub(super) fn kept(login: Option<Login>) -> Self {
        Self {
            kept: Some(Arc::default()),
            login,
        }
    }

    /// Opens a connection, with a new token if the login is one. If the server refuses the password,
    /// which a rotation has changed, it tries once more with the one that the secret contains now.
    async fn open(&self, pool: &MySqlPool) -> sqlx::Result<PoolConnection<MySql>> {
        if let Some(login) = &self.login {
            let prepared = login.prepare(pool).await;
            prepared.map_err(|error| sqlx::Error::Configuration(error.into()))?;
        }
        match (pool.acquire().await, &self.login) {
            (Err(error), Some(login)) if is_refused(&error) && login.renew(pool).await => {
                pool.acquire().await
            }
            (opened, _) => opened,
        }
    }

    /// Returns a connection that works, as far as is known. Waits while another task uses it.
    pub(super) async fn acquire(&self, pool: &MySqlPool) -> sqlx::Result<DbConnection> {
        let Some(kept) = &self.kept else {
            return pool.acquire().await.map(DbConnection::Pooled);
        };
        let lock = tokio::time::timeout(CONNECT_TIMEOUT, Arc::clone(kept).lock_owned());
        let mut home = lock.await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let acquired_at = Instant::now();
        let mut connection = None;
        if let Some(mut kept) = home.take() {
            if kept.works().await {
                connection = Some(kept);
            } else {
                kept.connection.close_on_drop();
            }
        }
        let mut kept = match connection {
            Some(kept) => kept,
            None => Kept::new(self.open(pool).await?),
        };
        kept.acquired_at = acquired_at;
        Ok(DbConnection::Kept(OwnedMutexGuard::map(home, |home| {
            home.insert(kept)
        })))
    }
}

/// A connection in use.
pub enum DbConnection {
    /// Of a pool, to which it returns.
    Pooled(PoolConnection<MySql>),
    /// The connection of the environment, which is kept for the next use.
    #[expect(private_interfaces, reason = "used through the connection only")]
    Kept(OwnedMappedMutexGuard<Option<Kept>, Kept>),
}

impl DbConnection {
    /// Notes that all statements since it was acquired have succeeded: the next use does not test
    /// it.
    pub(super) fn trust(&mut self) {
        if let Self::Kept(kept) = self {
            kept.is_doubtful = false;
        }
    }
}

impl Deref for DbConnection {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Kept(kept) => &kept.connection,
        }
    }
}

impl DerefMut for DbConnection {
    /// The result of what is executed is not seen here, so that it may fail.
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Kept(kept) => {
                kept.is_doubtful = true;
                &mut kept.connection
            }
        }
    }
}

impl Drop for DbConnection {
    fn drop(&mut self) {
        if let Self::Kept(kept) = self {
            kept.used_at = (Instant::now(), SystemTime::now());
            let used = kept.acquired_at.elapsed();
            metrics::count(Counter::DatabaseTime, used.as_micros() as u64);
        }
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Db").finish_non_exhaustive()
    }
}

/// A statement on its own, outside a transaction.
impl<'c> Executor<'c> for &Db {
    type Database = MySql;

    /// Returns the results after the statement has ended: a result set is held in memory, as by
    /// `fetch_all`.
    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<MySqlQueryResult, MySqlRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        let db = self.clone();
        let results = async move {
            let mut connection = db.acquire().await?;
            let results: Vec<_> = connection.fetch_many(query).try_collect().await?;
            connection.trust();
            Ok::<_, sqlx::Error>(stream::iter(results).map(Ok))
        };
        stream::once(results).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, sqlx::Result<Option<MySqlRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        let db = self.clone();
        Box::pin(async move {
            let mut connection = db.acquire().await?;
            let row = connection.fetch_optional(query).await?;
            connection.trust();
            Ok(row)
        })
    }

    fn prepare_with<'e, 'q: 'e>(
        self,
        sql: &'q str,
        parameters: &'e [MySqlTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<MySqlStatement<'q>>>
    where
        'c: 'e,
    {
        let db = self.clone();
        Box::pin(async move { db.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e, 'q: 'e>(
        self,
        sql: &'q str,
    ) -> BoxFuture<'e, sqlx::Result<sqlx::Describe<MySql>>>
    where
        'c: 'e,
    {
        let db = self.clone();
        Box::pin(async move { db.acquire().await?.describe(sql).await })
    }
}
