//! Retention: deletes rows of logins, their limits, repeated requests, deliveries and velocities that
//! nothing reads any more.
//!
//! A deletion changes no answer: a session that is over grants nothing, a rate limit that was not
//! used for an hour is full again, and yesterday's failures do not count.
//!
//! It runs once per hour and deletes a bounded number of rows per table. `callers`, `login_guards`
//! and `key_days` have few rows and are scanned, since an index on the time of the last request
//! would cost each request a write. If it runs twice, the second run finds the next rows, or none.

use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};
use shared::{access::IDEMPOTENCY_RETENTION, platform::db::Db};

/// Most rows deleted per table and hour.
pub const MAX_ROWS: u32 = 5000;
/// `key_days` shows the usage of an API key; three months of history are enough.
const KEY_USAGE_RETENTION: TimeDelta = TimeDelta::days(92);
/// How long the result of a delivery is shown. Deliveries that are still retried stay.
const DELIVERY_RETENTION: TimeDelta = TimeDelta::days(30);
/// Longer than the period of any limit.
const LOGIN_RETENTION: TimeDelta = TimeDelta::days(1);
/// A device is known for 180 days after its last use.
const DEVICE_RETENTION: TimeDelta = TimeDelta::days(181);
/// The days with which the velocity of a caller is compared, and one more.
const VELOCITY_RETENTION: TimeDelta = TimeDelta::days(31);
/// Not at the full hour, when most schedules are due.
const MINUTE: u32 = 37;

/// Rows deleted, by table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the tables")]
pub struct DeletedRows {
    pub refresh_tokens: u64,
    pub sessions: u64,
    pub known_devices: u64,
    pub callers: u64,
    pub login_guards: u64,
    pub key_days: u64,
    pub idempotency_keys: u64,
    pub webhook_deliveries: u64,
    pub velocity_days: u64,
}

/// Returns whether the sweep of this minute deletes expired rows.
pub fn is_due(now: DateTime<Utc>) -> bool {
    now.minute() == MINUTE
}

/// Deletes the rows whose retention has ended.
pub async fn delete_expired_rows(db: &Db, now: DateTime<Utc>) -> sqlx::Result<DeletedRows> {
    let login = now - LOGIN_RETENTION;
    Ok(DeletedRows {
        // Before their sessions, by which they are found.
        refresh_tokens: delete_refresh_tokens(db, login).await?,
        sessions: delete_sessions(db, login).await?,
        known_devices: delete_devices(db, now - DEVICE_RETENTION).await?,
        callers: delete_callers(db, login).await?,
        login_guards: delete_login_guards(db, login).await?,
        key_days: delete_key_days(db, (now - KEY_USAGE_RETENTION).date_naive()).await?,
        idempotency_keys: delete_idempotency_keys(db, now - IDEMPOTENCY_RETENTION).await?,
        webhook_deliveries: delete_deliveries(db, now - DELIVERY_RETENTION).await?,
        velocity_days: delete_velocity_days(db, (now - VELOCITY_RETENTION).date_naive()).await?,
    })
}

async fn delete_refresh_tokens(db: &Db, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM refresh_tokens WHERE session_id IN
           (SELECT id FROM (SELECT id FROM sessions WHERE expires_at < ? ORDER BY expires_at LIMIT ?) old)",
        before,
        MAX_ROWS
    );
    Ok(done.execute(db).await?.rows_affected())
}

async fn delete_sessions(db: &Db, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM sessions WHERE expires_at < ? AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.session_id = sessions.id)
         ORDER BY expires_at LIMIT ?",
        before,
        MAX_ROWS
    );
    Ok(done.execute(db).await?.rows_affected())
}

async fn delete_devices(db: &Db, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM known_devices WHERE last_used_at < ? LIMIT ?",
        before,
        MAX_ROWS
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Keeps the rows of API keys, which hold when a key was last used.
async fn delete_callers(db: &Db, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM callers WHERE last_used_at < ? AND NOT EXISTS (SELECT 1 FROM api_keys k WHERE k.hash = callers.caller) LIMIT ?",
        before,
        MAX_ROWS
    );
    Ok(done.execute(db).await?.rows_affected())
}

async fn delete_login_guards(db: &Db, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM login_guards WHERE last_at < ? LIMIT ?",
        before,
        MAX_ROWS
    );
    Ok(done.execute(db).await?.rows_affected())
}

async fn delete_key_days(db: &Db, before: NaiveDate) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM key_days WHERE day < ? LIMIT ?",
        before,
        MAX_ROWS
    );
    Ok(done.execute(db).await?.rows_affected())
}

async fn delete_idempotency_keys(db: &Db, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ?",
        before,
        MAX_ROWS
    );
    Ok(done.execute(db).await?.rows_affected())
}

async fn delete_deliveries(db: &Db, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM webhook_deliveries WHERE created_at < ? AND status <> 'pending' ORDER BY created_at LIMIT ?",
        before,
        MAX_ROWS
    );
    Ok(done.execute(db).await?.rows_affected())
}

async fn delete_velocity_days(db: &Db, before: NaiveDate) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM velocity_days WHERE day < ? ORDER BY day LIMIT ?",
        before,
        MAX_ROWS
    );
    Ok(done.execute(db).await?.rows_affected())
}
