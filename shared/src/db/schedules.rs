//! `schedules`, as the API reads and writes them: created with their recipients in one transaction, shown, listed, and locked for
//! what moves them ([`super::moves`]).

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// Where a schedule is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub enum ScheduleStatus {
    /// Being put together: recipients are appended, nothing is sent.
    Draft,
    /// Waits for its time.
    Scheduled,
    /// Cut into batches, which are sent and checked.
    Running,
    /// Nothing more will happen by itself.
    Finished,
    /// Stopped for now: nothing new is sent, what was sent is still checked.
    Paused,
    /// Stopped for good.
    Cancelled,
    /// Found too late: what was not sent waits for a person.
    Missed,
}

impl ScheduleStatus {
    /// Every state, in the order of life.
    pub const ALL: [Self; 7] = [
        Self::Draft,
        Self::Scheduled,
        Self::Running,
        Self::Finished,
        Self::Paused,
        Self::Cancelled,
        Self::Missed,
    ];

    /// The word in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Missed => "missed",
        }
    }
}

/// A whole row.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Schedule {
    pub id: Uuid,
    pub status: ScheduleStatus,
    pub version: u32,
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
    pub on_uncertain: String,
    pub recipient_count: u32,
    pub invalid_count: u32,
    pub duplicate_count: u32,
    pub batch_count: Option<u32>,
    pub dispatched_by: Option<String>,
    pub dispatched_at: Option<DateTime<Utc>>,
    pub paused_at: Option<DateTime<Utc>>,
    pub pause_reason: Option<String>,
    pub finished_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub created_by: Option<String>,
}

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
    pub on_uncertain: &'static str,
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
        new.on_uncertain,
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

/// The schedules of these ids that exist, in no order.
pub async fn load_schedules(
    connection: &mut MySqlConnection,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Schedule>> {
    let ids: Vec<_> = ids.iter().map(|id| id.simple().to_string()).collect();
    sqlx::query_as!(
        Schedule,
        r#"SELECT s.id AS "id: Uuid", s.status AS "status: ScheduleStatus", s.version, s.message, s.parts, s.sender,
             s.run_at AS "run_at: DateTime<Utc>", s.run_at_offset, s.rate, s.send_window, s.max_lateness_s, s.max_resends, s.resend_within_s,
             s.on_uncertain, s.recipient_count, s.invalid_count, s.duplicate_count, s.batch_count, s.dispatched_by,
             s.dispatched_at AS "dispatched_at: DateTime<Utc>", s.paused_at AS "paused_at: DateTime<Utc>", s.pause_reason,
             s.finished_at AS "finished_at: DateTime<Utc>", s.created_at AS "created_at: DateTime<Utc>", s.created_by
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$')) wanted
           STRAIGHT_JOIN schedules s ON s.id = UNHEX(wanted.id)"#,
        serde_json::json!(ids).to_string()
    )
    .fetch_all(connection)
    .await
}

/// Its status alone.
pub async fn read_status(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("SELECT status FROM schedules WHERE id = ?", id)
        .fetch_optional(connection)
        .await
}

/// One schedule.
pub async fn load_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<Schedule>> {
    Ok(load_schedules(connection, &[id]).await?.pop())
}
