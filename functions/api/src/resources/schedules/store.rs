//! `schedules`, as the API reads and writes them: created with their recipients in one transaction, shown, listed, and locked for
//! what moves them ([`super::moves`]).

use chrono::{DateTime, Utc};
use shared::schedule::{on_uncertain::OnUncertain, status::ScheduleStatus};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// What a client may choose about a schedule.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct NewSchedule {
    pub id: Uuid,
    pub status: ScheduleStatus,
    pub message: String,
    pub parts: u16,
    pub sender: Option<String>,
    pub run_at: DateTime<Utc>,
    pub run_at_offset: String,
    pub rate: Option<u32>,
    pub send_window: Option<String>,
    pub max_lateness_s: u32,
    pub max_resends: u32,
    pub resend_within_s: u32,
    pub on_uncertain: OnUncertain,
    pub created_at: DateTime<Utc>,
    pub created_by: Option<String>,
}

/// What a move or an append needs to know, read under the lock that it holds to its end.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct LockedSchedule {
    pub id: Uuid,
    pub status: ScheduleStatus,
    pub version: u32,
    pub message: String,
    pub run_at: DateTime<Utc>,
    pub recipient_count: u32,
    pub next_seq: u32,
    pub batch_count: Option<u32>,
    pub paused_at: Option<DateTime<Utc>>,
}

/// What one call added.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Added {
    pub next_seq: u32,
    pub recipients: u32,
    pub invalid: u32,
    pub duplicates: u32,
    /// The most of any text; 0 where all get the same.
    pub parts: u16,
}

/// Adds a schedule without recipients; [`count_added`] follows in the same transaction.
pub async fn insert_schedule(
    connection: &mut MySqlConnection,
    new: &NewSchedule,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO schedules (id, status, message, parts, sender, run_at, run_at_offset, rate, send_window, max_lateness_s, max_resends,
           resend_within_s, on_uncertain, created_at, created_by)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        new.id,
        new.status.as_str(),
        new.message,
        new.parts,
        new.sender,
        new.run_at,
        new.run_at_offset,
        new.rate,
        new.send_window,
        new.max_lateness_s,
        new.max_resends,
        new.resend_within_s,
        new.on_uncertain.as_str(),
        new.created_at,
        new.created_by,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Reads a schedule and keeps others from moving, cutting or appending to it until the transaction ends.
pub async fn lock_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<LockedSchedule>> {
    sqlx::query_as!(
        LockedSchedule,
        r#"SELECT id AS "id: Uuid", status AS "status: ScheduleStatus", version, message, run_at AS "run_at: DateTime<Utc>",
             recipient_count, next_seq, batch_count, paused_at AS "paused_at: DateTime<Utc>"
           FROM schedules WHERE id = ? FOR UPDATE"#,
        id
    )
    .fetch_optional(connection)
    .await
}

/// Records what a call added, under the lock of [`lock_schedule`] or in the transaction that made the schedule.
pub async fn count_added(
    connection: &mut MySqlConnection,
    id: Uuid,
    added: &Added,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET next_seq = ?, recipient_count = recipient_count + ?, invalid_count = invalid_count + ?,
           duplicate_count = duplicate_count + ?, parts = GREATEST(parts, ?) WHERE id = ?",
        added.next_seq,
        added.recipients,
        added.invalid,
        added.duplicates,
        added.parts,
        id
    );
    done.execute(connection).await.map(drop)
}
