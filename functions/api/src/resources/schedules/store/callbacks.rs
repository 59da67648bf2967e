//! The webhooks that are callbacks of schedules.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A callback that exists.
#[derive(Clone, Copy, Debug)]
pub struct FoundCallback {
    /// `webhooks.id`
    pub id: Uuid,
    /// Whether it is disabled.
    pub disabled: bool,
}

/// Returns the callback of an owner by the SHA-256 of its URL.
pub async fn find_callback(
    connection: &mut MySqlConnection,
    owner: &str,
    hash: &[u8],
) -> sqlx::Result<Option<FoundCallback>> {
    sqlx::query_as!(
        FoundCallback,
        r#"SELECT id AS "id: Uuid", disabled_at IS NOT NULL AS "disabled!: bool" FROM webhooks
           WHERE owner = ? AND callback_hash = ?"#,
        owner,
        hash
    )
    .fetch_optional(connection)
    .await
}

/// Counts the callbacks of an owner.
pub async fn count_callbacks(connection: &mut MySqlConnection, owner: &str) -> sqlx::Result<i64> {
    let count = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "count!: i64" FROM webhooks WHERE owner = ? AND callback_hash IS NOT NULL"#,
        owner
    );
    count.fetch_one(connection).await
}

/// A callback to insert.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct NewCallback<'a> {
    pub id: Uuid,
    pub url: &'a str,
    pub hash: &'a [u8],
    pub events: &'a str,
    pub owner: &'a str,
    pub expires_at: Option<DateTime<Utc>>,
    pub key_id: String,
    pub created_at: DateTime<Utc>,
}

/// Inserts a callback. If another call has inserted it since it was looked for, nothing is inserted
/// and this fails with a unique violation.
pub async fn insert_callback(
    connection: &mut MySqlConnection,
    new: &NewCallback<'_>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO webhooks (id, url, events, selected_events, owner, callback_hash, expires_at, key_id, created_at, created_by)
         VALUES (?, ?, '', ?, ?, ?, ?, ?, ?, ?)",
        new.id,
        new.url,
        new.events,
        new.owner,
        new.hash,
        new.expires_at,
        new.key_id,
        new.created_at,
        new.owner
    );
    done.execute(connection).await.map(drop)
}

/// Sets the callback of a schedule, or removes it.
pub async fn write_callback(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
    callback_id: Option<Uuid>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET callback_id = ? WHERE id = ?",
        callback_id,
        schedule_id
    );
    done.execute(connection).await.map(drop)
}
