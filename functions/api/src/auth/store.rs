//! The statements that authentication executes: API keys, sessions, and the daily limits of keys.

use chrono::{DateTime, NaiveDate, Utc};
use shared::access::{Permission, Role};
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
    pub allowed_addresses: Option<String>,
    pub allowed_senders: Option<String>,
    pub user_id: Option<Uuid>,
    /// From `callers`.
    pub last_used_at: Option<DateTime<Utc>>,
    /// The role of the person whose key it is.
    pub role: Option<Role>,
    /// Whether that person's account is disabled.
    pub user_disabled: bool,
}

impl ApiKey {
    /// Returns whether it admits calls at this time: it is neither revoked nor expired, and the
    /// account of its person is not disabled.
    pub fn is_valid(&self, now: DateTime<Utc>) -> bool {
        let has_person = self.user_id.is_none() || (self.role.is_some() && !self.user_disabled);
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now) && has_person
    }

    /// Returns its permissions: those of a person's key are at most those of the person's role.
    pub fn permissions(&self) -> Vec<Permission> {
        let mut permissions = Permission::parse_list(&self.permissions);
        if let Some(role) = self.role {
            permissions.retain(|permission| role.permissions().contains(permission));
        }
        permissions
    }
}

/// Returns the key with this hash, also if it has expired or was revoked.
pub async fn find_api_key(
    connection: &mut MySqlConnection,
    hash: &[u8],
) -> sqlx::Result<Option<ApiKey>> {
    sqlx::query_as!(
        ApiKey,
        r#"SELECT k.id AS "id: Uuid", k.name, k.prefix AS "prefix: String", k.permissions, k.messages_per_day, k.created_by,
             k.created_at AS "created_at: DateTime<Utc>", k.expires_at AS "expires_at: DateTime<Utc>",
             k.revoked_at AS "revoked_at: DateTime<Utc>", k.allowed_addresses, k.allowed_senders, k.user_id AS "user_id: Uuid",
             CAST(NULL AS DATETIME(3)) AS "last_used_at: DateTime<Utc>", u.role AS "role: Role",
             u.disabled_at IS NOT NULL AS "user_disabled!: bool"
           FROM api_keys k LEFT JOIN users u ON u.id = k.user_id WHERE k.hash = ?"#,
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
    /// Whether logins of the user need a code.
    pub second_factor: bool,
}

/// Returns the user of a session, unless the session has ended or the user is disabled.
pub async fn session_user(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<SessionUser>> {
    sqlx::query_as!(
        SessionUser,
        r#"SELECT u.id AS "user_id: Uuid", u.username, u.role AS "role: Role",
             EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS "second_factor!: bool"
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
