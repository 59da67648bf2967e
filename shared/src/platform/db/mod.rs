//! MySQL, the source of truth: the pool, the clock, and retries of lock conflicts.
//!
//! Each statement of the workspace has one function, to which `now` is an argument. The statements
//! run on MySQL 8.4 and on MariaDB 10.11. In a joined UPDATE no assignment reads another column
//! that the statement writes, because the order of assignments is not guaranteed there.

pub mod connection;
pub mod describe;
pub mod json;
mod login;
pub mod schema;
mod token;
pub mod transaction;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::{
    Connection, Executor, MySqlConnection, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};

use self::{
    connection::{Connections, DbConnection},
    login::Login,
};
use crate::platform::config::DatabaseSource;

/// The longest wait for a connection: longer than a server that is only busy needs, shorter than a
/// client of the API waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a statement that fails with a lock conflict is executed. Each time another transaction
/// makes progress.
const LOCK_CONFLICT_TRIES: u32 = 5;

/// Returns the delay after a statement has failed `tries` times with a lock conflict.
const fn after_lock_conflict(tries: u32) -> Duration {
    Duration::from_millis(20 * tries as u64 * tries as u64)
}

/// The migrations, for the function that runs them and for tests.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// A pool, and the clock of its server.
#[derive(Clone)]
pub struct Db {
    /// The pool. In a function it has one connection: an environment handles one invocation at a
    /// time, and all environments together have to stay below the server's `max_connections`. So a
    /// task that has an open transaction must not acquire a second connection. Functions use it
    /// only through [`Db::acquire`], and by `&Db` as the executor of a statement.
    pub pool: MySqlPool,
    connections: Connections,
    /// The clock from which each statement gets its `now`.
    pub clock: Clock,
}

/// The local time plus the offset to the database's, which is measured whenever a connection opens.
/// So leases and due times of many machines are compared on one clock.
#[derive(Clone, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
    /// The local time at which it was stopped.
    stopped_at: Arc<OnceLock<DateTime<Utc>>>,
}

impl Clock {
    /// Returns the time now, UTC, in whole milliseconds like `DATETIME(3)`.
    pub fn now(&self) -> DateTime<Utc> {
        let local = self.stopped_at.get().copied().unwrap_or_else(Utc::now);
        let now = local + TimeDelta::milliseconds(self.offset_ms.load(Ordering::Relaxed));
        now.duration_trunc(TimeDelta::milliseconds(1))
            .unwrap_or(now)
    }

    /// Returns a clock that is slow: for tests whose carrier stamps real times, which must not be
    /// before a time that this clock has returned.
    pub fn behind(by: Duration) -> Self {
        Self {
            offset_ms: Arc::new(AtomicI64::new(-(by.as_millis() as i64))),
            ..Self::default()
        }
    }

    /// Stops the clock, so that only [`Clock::advance`] moves it: for tests whose result would
    /// otherwise depend on how long their calls take.
    pub fn stop(&self) {
        self.stopped_at.get_or_init(Utc::now);
    }

    /// Moves the clock forward, for tests that would otherwise wait.
    pub fn advance(&self, by: Duration) {
        self.offset_ms
            .fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }

    /// Measures the offset several times and uses the quickest answer. A slow answer may be wrong
    /// by half its round trip, and a message would be sent that much too early. An offset below its
    /// uncertainty counts as zero.
    async fn measure(&self, connection: &mut MySqlConnection) -> sqlx::Result<()> {
        let mut best: Option<(TimeDelta, TimeDelta)> = None;
        for _ in 0..5 {
            let before = Utc::now();
            let server: DateTime<Utc> = sqlx::query_scalar("SELECT UTC_TIMESTAMP(3)")
                .fetch_one(&mut *connection)
                .await?;
            let round_trip = Utc::now() - before;
            if best.is_none_or(|(shortest, _)| round_trip < shortest) {
                best = Some((round_trip, server - (before + round_trip / 2)));
            }
        }
        self.offset_ms.store(
            best.map_or(0, |(round_trip, offset)| certain_ms(round_trip, offset)),
            Ordering::Relaxed,
        );
        Ok(())
    }
}

/// Returns the offset in milliseconds, or 0 if it is at most half the round trip plus the server's
/// rounding to a millisecond.
fn certain_ms(round_trip: TimeDelta, offset: TimeDelta) -> i64 {
    let uncertainty = round_trip / 2 + TimeDelta::milliseconds(1);
    if offset.abs() <= uncertainty {
        0
    } else {
        offset.num_milliseconds()
    }
}

/// The default of both servers, whatever a parameter group says. At READ COMMITTED an UPDATE reads the
/// tables of its conditions without locks, so that a mark could follow the pause of its schedule.
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";

/// How long a statement of a class may run. The server then ends it (error 3024 or 1969), also if
/// the function that executed it is gone. MySQL limits only SELECT, MariaDB every statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementLimit {
    /// Statements for a caller of the API, who waits at most 29 s.
    Api,
    /// Statements of the other functions, which work through batches, lists and retention.
    Worker,
}

impl StatementLimit {
    const fn seconds(self) -> u32 {
        match self {
            Self::Api => 15,
            Self::Worker => 60,
        }
    }

    /// Returns the statement that sets the limit of a session. Each server executes only the comment
    /// that is meant for it.
    fn statement(self) -> String {
        let s = self.seconds();
        format!(
            "SET @statement_limit_s = {s} /*!80000 , SESSION max_execution_time = {s}000 */ \
             /*M!100100 , SESSION max_statement_time = {s} */"
        )
    }
}

impl Db {
    /// Opens a pool of one connection. Fails before any work is accepted if the secret or the server
    /// cannot be reached, or if the schema is older than this build needs.
    pub async fn connect(source: &DatabaseSource, limit: StatementLimit) -> anyhow::Result<Self> {
        let db = Self::with_login(Login::open(source).await?, limit).await?;
        schema::check(&db.pool).await?;
        Ok(db)
    }

    async fn with_login(login: Login, limit: StatementLimit) -> anyhow::Result<Self> {
        let clock = Clock::default();
        let measured = clock.clone();
        let limit = limit.statement();
        let pool = MySqlPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(move |connection, _| {
                let (clock, limit) = (measured.clone(), limit.clone());
                Box::pin(async move {
                    connection.execute(ISOLATION).await?;
                    connection.execute(limit.as_str()).await?;
                    clock.measure(connection).await
                })
            })
            .connect_with(login.options().await?)
            .await
            .context("connecting to the database")?;
        Ok(Self {
            pool,
            connections: Connections::kept(Some(login)),
            clock,
        })
    }

    /// Wraps a pool of one connection, which is kept between statements.
    pub fn with_one_connection(pool: MySqlPool, clock: Clock) -> Self {
        Self {
            pool,
            connections: Connections::kept(None),
            clock,
        }
    }

    /// Wraps an existing pool, with the clock of this machine: for tests.
    pub fn from_pool(pool: MySqlPool) -> Self {
        Self {
            pool,
            connections: Connections::default(),
            clock: Clock::default(),
        }
    }

    /// Returns the time for the next statement.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Returns a connection for several statements.
    pub async fn acquire(&self) -> sqlx::Result<DbConnection> {
        self.connections.acquire(&self.pool).await
    }

    /// Checks that the server answers.
    pub async fn ping(&self) -> sqlx::Result<()> {
        self.acquire().await?.ping().await
    }
}

/// Returns the options for a connection; fetches the secret if the source is one.
pub async fn connect_options(source: &DatabaseSource) -> anyhow::Result<MySqlConnectOptions> {
    Login::open(source).await?.options().await
}

/// Whether the server rolled the statement back because of locks (deadlock 1213, lock-wait time-out
/// 1205), so that it may be retried.
pub fn is_lock_conflict(error: &sqlx::Error) -> bool {
    number(error).is_some_and(|number| matches!(number, 1205 | 1213))
}

/// Whether the server ended the statement because it ran longer than its [`StatementLimit`] (MySQL
/// 3024, MariaDB 1969).
pub fn is_statement_limit(error: &sqlx::Error) -> bool {
    number(error).is_some_and(|number| matches!(number, 1969 | 3024))
}

/// Returns the number of an error that the server returned.
fn number(error: &sqlx::Error) -> Option<u16> {
    let error = error.as_database_error()?;
    let error = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
    error.map(sqlx::mysql::MySqlDatabaseError::number)
}

/// Retries a statement while it fails with a lock conflict, at most [`LOCK_CONFLICT_TRIES`] times.
pub async fn retry_lock_conflicts<T, F>(mut statement: impl FnMut() -> F) -> sqlx::Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    let mut tries = LockConflictTries::default();
    loop {
        match statement().await {
            Err(error) if is_lock_conflict(&error) && tries.wait().await => {}
            other => return other,
        }
    }
}

/// Counts the tries of a statement that fails with a lock conflict.
#[derive(Default)]
struct LockConflictTries(u32);

impl LockConflictTries {
    /// Waits before the next try; returns false if there is none.
    async fn wait(&mut self) -> bool {
        self.0 += 1;
        if self.0 >= LOCK_CONFLICT_TRIES {
            return false;
        }
        tracing::warn!(tries = self.0, "lock conflict, retrying");
        tokio::time::sleep(after_lock_conflict(self.0)).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_below_its_uncertainty_counts_as_zero() {
        for (round_trip_ms, offset_ms, expected) in [
            (0, 0, 0),
            (20, 11, 0),
            (20, -11, 0),
            (20, 12, 12),
            (1, -250, -250),
        ] {
            let (round_trip, offset) = (
                TimeDelta::milliseconds(round_trip_ms),
                TimeDelta::milliseconds(offset_ms),
            );
            assert_eq!(
                certain_ms(round_trip, offset),
                expected,
                "{round_trip_ms} {offset_ms}"
            );
        }
    }

    #[test]
    fn the_clock_has_whole_milliseconds_and_can_be_moved() {
        let clock = Clock::default();
        let before = clock.now();
        assert_eq!(before.timestamp_subsec_nanos() % 1_000_000, 0);
        clock.advance(Duration::from_secs(60));
        assert!(clock.now() - before >= TimeDelta::seconds(60));
    }
}
