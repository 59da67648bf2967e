//! `suppressions`: numbers to which no message is sent. They are looked up at the time of sending,
//! so schedules that exist already are covered too.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use shared::{access::audit::new_id, message::phone::Phone};
use sqlx::MySqlConnection;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Suppression {
    pub phone: String,
    pub reason: Option<String>,
    pub source: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// The columns of added numbers, except the number.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Note {
    pub reason: Option<String>,
    pub source: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// Inserts numbers. Returns how many were new. Existing rows stay as they are.
pub async fn insert_suppressions(
    connection: &mut MySqlConnection,
    phones: &[Phone],
    note: &Note,
) -> sqlx::Result<u64> {
    let phones: Vec<_> = phones.iter().map(Phone::to_string).collect();
    let done = sqlx::query!(
        "INSERT IGNORE INTO suppressions (phone, reason, source, created_at, created_by)
         SELECT j.phone, ?, ?, ?, ? FROM JSON_TABLE(?, '$[*]' COLUMNS (phone VARCHAR(16) PATH '$')) j",
        note.reason,
        note.source,
        note.created_at,
        note.created_by,
        serde_json::json!(phones).to_string()
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// A reason that was given for a number after it was suppressed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "SuppressionNote")]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct LaterNote {
    pub reason: Option<String>,
    pub source: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// Most later notes of a number; the oldest of them are deleted.
pub const MOST_NOTES: u32 = 50;

/// Adds a note to a number that is suppressed already. Its row, with the first reason, stays as it is.
pub async fn insert_note(
    connection: &mut MySqlConnection,
    phone: Phone,
    note: &Note,
) -> sqlx::Result<()> {
    let phone = phone.to_string();
    sqlx::query!(
        "INSERT INTO suppression_notes (phone, id, reason, source, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?)",
        phone,
        new_id(note.created_at),
        note.reason,
        note.source,
        note.created_at,
        note.created_by
    )
    .execute(&mut *connection)
    .await?;
    let notes = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "notes!: i64" FROM suppression_notes WHERE phone = ?"#,
        phone
    )
    .fetch_one(&mut *connection)
    .await?;
    let too_many = u32::try_from(notes)
        .unwrap_or_default()
        .saturating_sub(MOST_NOTES);
    if too_many > 0 {
        let deleted = sqlx::query!(
            "DELETE FROM suppression_notes WHERE phone = ? ORDER BY id LIMIT ?",
            phone,
            too_many
        );
        deleted.execute(connection).await?;
    }
    Ok(())
}

/// Returns the later notes of a number, the newest first.
pub async fn notes_of(
    connection: &mut MySqlConnection,
    phone: Phone,
) -> sqlx::Result<Vec<LaterNote>> {
    sqlx::query_as!(
        LaterNote,
        r#"SELECT reason, source, created_at AS "created_at: DateTime<Utc>", created_by
           FROM suppression_notes WHERE phone = ? ORDER BY id DESC"#,
        phone.to_string()
    )
    .fetch_all(connection)
    .await
}

/// Returns the row of a number.
pub async fn find_suppression(
    connection: &mut MySqlConnection,
    phone: Phone,
) -> sqlx::Result<Option<Suppression>> {
    sqlx::query_as!(
        Suppression,
        r#"SELECT phone, reason, source, created_at AS "created_at: DateTime<Utc>", created_by FROM suppressions WHERE phone = ?"#,
        phone.to_string()
    )
    .fetch_optional(connection)
    .await
}

/// Deletes a number and its notes. Returns whether it existed.
pub async fn delete_suppression(
    connection: &mut MySqlConnection,
    phone: Phone,
) -> sqlx::Result<bool> {
    let phone = phone.to_string();
    sqlx::query!("DELETE FROM suppression_notes WHERE phone = ?", phone)
        .execute(&mut *connection)
        .await?;
    let done = sqlx::query!("DELETE FROM suppressions WHERE phone = ?", phone);
    Ok(done.execute(connection).await?.rows_affected() > 0)
}

/// Returns rows after a number, in the order of the numbers' digits, from one source or all.
pub async fn page_of_suppressions(
    connection: &mut MySqlConnection,
    source: Option<&str>,
    after: &str,
    limit: u32,
) -> sqlx::Result<Vec<Suppression>> {
    sqlx::query_as!(
        Suppression,
        r#"SELECT phone, reason, source, created_at AS "created_at: DateTime<Utc>", created_by FROM suppressions
           WHERE phone > ? AND (? IS NULL OR source = ?) ORDER BY phone LIMIT ?"#,
        after,
        source,
        source,
        limit
    )
    .fetch_all(connection)
    .await
}
