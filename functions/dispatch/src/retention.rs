//! Old rows of the login, its limits and repeated requests, which nobody will ask for again. What is deleted here changes no answer: a session that is
//! over opens nothing, a rate that was not used for an hour is whole, a count of failures of yesterday is none.
//!
//! Once an hour, a bounded number of rows a table: `callers`, `login_guards` and `key_days` have few rows and are scanned, since an
//! index on the time of the last request would cost every request a write.

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use shared::access::IDEMPOTENCY_RETENTION;
use shared::platform::db::Db;

/// At most so many rows a table and hour.
pub const MOST_ROWS: u32 = 5000;
/// `key_days` says what a key used; a quarter of a year is enough to look back.
const KEY_DAYS: TimeDelta = TimeDelta::days(92);
/// What became of a delivery is told for so long; one that is still tried stays.
const DELIVERIES: TimeDelta = TimeDelta::days(30);
/// Longer than every limit reaches.
const FORGOTTEN: TimeDelta = TimeDelta::days(1);
/// Not with the hour, when most schedules are due.
const MINUTE: u32 = 37;

/// Rows deleted, by table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the tables")]
pub struct Tidied {
    pub refresh_tokens: u64,
    pub sessions: u64,
    pub callers: u64,
    pub login_guards: u64,
    pub key_days: u64,
    pub idempotency_keys: u64,
    pub webhook_deliveries: u64,
}

/// Whether this minute's sweep is the one that tidies.
pub fn is_time(now: DateTime<Utc>) -> bool {
    now.minute() == MINUTE
}

/// Deletes what is old.
pub async fn tidy(db: &Db, now: DateTime<Utc>) -> sqlx::Result<Tidied> {
    let (forgotten, long_ago) = (now - FORGOTTEN, (now - KEY_DAYS).date_naive());
    // Tokens before their sessions: by them they are found.
    let tokens = sqlx::query!(
        "DELETE FROM refresh_tokens WHERE session_id IN
           (SELECT id FROM (SELECT id FROM sessions WHERE expires_at < ? ORDER BY expires_at LIMIT ?) old)",
        forgotten,
        MOST_ROWS
    );
    let refresh_tokens = tokens.execute(&db.pool).await?.rows_affected();
    let sessions = sqlx::query!(
        "DELETE FROM sessions WHERE expires_at < ? AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.session_id = sessions.id)
         ORDER BY expires_at LIMIT ?",
        forgotten,
        MOST_ROWS
    );
    let sessions = sessions.execute(&db.pool).await?.rows_affected();
    // api_keys tells when a key was last used by its row here: those stay.
    let callers = sqlx::query!(
        "DELETE FROM callers WHERE last_used_at < ? AND NOT EXISTS (SELECT 1 FROM api_keys k WHERE k.hash = callers.caller) LIMIT ?",
        forgotten,
        MOST_ROWS
    );
    let callers = callers.execute(&db.pool).await?.rows_affected();
    let guards = sqlx::query!(
        "DELETE FROM login_guards WHERE last_at < ? LIMIT ?",
        forgotten,
        MOST_ROWS
    );
    let login_guards = guards.execute(&db.pool).await?.rows_affected();
    let days = sqlx::query!(
        "DELETE FROM key_days WHERE day < ? LIMIT ?",
        long_ago,
        MOST_ROWS
    );
    let key_days = days.execute(&db.pool).await?.rows_affected();
    let keys = sqlx::query!(
        "DELETE FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ?",
        now - IDEMPOTENCY_RETENTION,
        MOST_ROWS
    );
    let idempotency_keys = keys.execute(&db.pool).await?.rows_affected();
    let deliveries = sqlx::query!(
        "DELETE FROM webhook_deliveries WHERE created_at < ? AND status <> 'pending' ORDER BY created_at LIMIT ?",
        now - DELIVERIES,
        MOST_ROWS
    );
    let webhook_deliveries = deliveries.execute(&db.pool).await?.rows_affected();
    Ok(Tidied {
        refresh_tokens,
        sessions,
        callers,
        login_guards,
        key_days,
        idempotency_keys,
        webhook_deliveries,
    })
}
