//! The statements that authentication executes: API keys, sessions, and the daily limits of keys.

use chrono::{DateTime, NaiveDate, Utc};
use shared::access::Role;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A row of `api_keys` without the hash, and its last use.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct ApiKey {
    pub id: Uuid,
    pub name: String,
    pub prefix: String,
    pub permissions: String,
    pub messages_per_day: Option<u32>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// From `callers`.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Returns the key with this hash, also if it has expired or was revoked.
pub async fn find_api_key(
    connection: &mut MySqlConnection,
    hash: &[u8],
) -> sqlx::Result<Option<ApiKey>> {
    sqlx::query_as!(
        ApiKey,
        r#"SELECT id AS "id: Uuid", name, prefix AS "prefix: String", permissions, messages_per_day, created_by,
             created_at AS "created_at: DateTime<Utc>", expires_at AS "expires_at: DateTime<Utc>",
             revoked_at AS "revoked_at: DateTime<Utc>", CAST(NULL AS DATETIME(3)) AS "last_used_at: DateTime<Utc>"
           FROM api_keys WHERE hash = ?"#,
        hash
    )
    .fetch_optional(connection)
    .await
}

/// The user of a session.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct SessionUser {
    pub user_id: Uuid,
    pub username: String,
    pub role: Role,
}

/// Returns the user of a session, unless the session has ended or the user is disabled.
pub async fn session_user(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<SessionUser>> {
    sqlx::query_as!(
        SessionUser,
        r#"SELECT u.id AS "user_id: Uuid", u.username, u.role AS "role: Role"
           FROM sessions s JOIN users u ON u.id = s.user_id
           WHERE s.id = ? AND s.ended_at IS NULL AND s.expires_at > ? AND u.disabled_at IS NULL"#,
        id,
        now
    )
    .fetch_optional(connection)
    .await
}

/// The messages that a key may add on one day.
#[derive(Clone, Copy, Debug)]
pub struct DailyLimit {
    /// `api_keys.id`
    pub key_id: Uuid,
    /// The day in UTC.
    pub day: NaiveDate,
    /// Messages per day.
    pub messages: u32,
}

/// Counts messages towards the daily limit of a key if they are within it. Returns `None`, or how
/// many messages remain if they are not. Two transactions of one key wait for each other here, so
/// that together they do not exceed the limit.
pub async fn use_daily_limit(
    connection: &mut MySqlConnection,
    limit: DailyLimit,
    messages: u32,
) -> sqlx::Result<Option<u32>> {
    let DailyLimit { key_id, day, .. } = limit;
    sqlx::query!(
        "INSERT IGNORE INTO key_days (key_id, day, messages) VALUES (?, ?, 0)",
        key_id,
        day
    )
    .execute(&mut *connection)
    .await?;
    let used = sqlx::query_scalar!(
        "SELECT messages FROM key_days WHERE key_id = ? AND day = ? FOR UPDATE",
        key_id,
        day
    )
    .fetch_one(&mut *connection)
    .await?;
    let left = limit.messages.saturating_sub(used);
    if messages > left {
        return Ok(Some(left));
    }
    sqlx::query!(
        "UPDATE key_days SET messages = messages + ? WHERE key_id = ? AND day = ?",
        messages,
        key_id,
        day
    )
    .execute(connection)
    .await?;
    Ok(None)
}
