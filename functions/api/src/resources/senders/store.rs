//! `senders`: the senders that callers without a free choice may use.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// The most senders that can be registered: they are answered without pages.
pub const MOST_SENDERS: u32 = 1000;

/// A registered sender.
#[derive(Debug, JsonSchema, Serialize)]
#[expect(
    missing_docs,
    reason = "named as the columns, which are commented in the migration"
)]
pub struct Sender {
    pub sender: String,
    pub note: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// Returns all senders, in their order.
pub async fn load_senders(connection: &mut MySqlConnection) -> sqlx::Result<Vec<Sender>> {
    sqlx::query_as!(
        Sender,
        r#"SELECT sender, note, created_at AS "created_at: DateTime<Utc>", created_by FROM senders ORDER BY sender LIMIT ?"#,
        MOST_SENDERS
    )
    .fetch_all(connection)
    .await
}

/// Returns a sender, however its letters are written.
pub async fn find_sender(
    connection: &mut MySqlConnection,
    sender: &str,
) -> sqlx::Result<Option<Sender>> {
    sqlx::query_as!(
        Sender,
        r#"SELECT sender, note, created_at AS "created_at: DateTime<Utc>", created_by FROM senders WHERE sender = ?"#,
        sender
    )
    .fetch_optional(connection)
    .await
}

/// Inserts a sender, or replaces one that differs in its note or in capital letters.
pub async fn write_sender(connection: &mut MySqlConnection, new: &Sender) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO senders (sender, note, created_at, created_by) VALUES (?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE note = VALUES(note), sender = VALUES(sender)",
        new.sender,
        new.note,
        new.created_at,
        new.created_by
    );
    done.execute(connection).await.map(drop)
}

/// Deletes a sender.
pub async fn delete_sender(connection: &mut MySqlConnection, sender: &str) -> sqlx::Result<()> {
    let done = sqlx::query!("DELETE FROM senders WHERE sender = ?", sender);
    done.execute(connection).await.map(drop)
}

/// Returns the only senders that a key may choose, separated by commas; `None`: the registered ones.
pub async fn senders_of_key(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<String>> {
    let found = sqlx::query_scalar!("SELECT allowed_senders FROM api_keys WHERE id = ?", id);
    Ok(found.fetch_optional(connection).await?.flatten())
}
