//! The cut: a due schedule becomes `running` and gets its batches, in one transaction, under the lock that appends and changes of
//! time take too. A crash between the two would be found by no sweep.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::platform::db::json::{as_datetime, to_json};
use sqlx::{MySqlConnection, types::Uuid};

use shared::platform::db::Db;
use shared::platform::{backoff::Backoff, queue::DispatchMessage};

/// A schedule that may be cut, locked.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// `schedules.status`
    pub status: String,
    /// `schedules.version`
    pub version: u32,
    /// Its time.
    pub run_at: DateTime<Utc>,
    /// Messages a second.
    pub rate: Option<u32>,
    /// `schedules.send_window`
    pub send_window: Option<String>,
    /// `schedules.max_lateness_s`
    pub max_lateness_s: u32,
    /// `None`: not cut yet.
    pub batch_count: Option<u32>,
}

/// Reads a schedule and keeps it locked until the transaction ends.
pub async fn lock_schedule(db: &mut MySqlConnection, id: Uuid) -> sqlx::Result<Option<Schedule>> {
    sqlx::query_as!(
        Schedule,
        r#"SELECT status, version, run_at AS "run_at: DateTime<Utc>", rate, send_window, max_lateness_s, batch_count
           FROM schedules WHERE id = ? FOR UPDATE"#,
        id
    )
    .fetch_optional(db)
    .await
}

/// The recipients of one stretch of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingRange {
    /// First seq that is there.
    pub first_seq: u32,
    /// Last seq that is there.
    pub last_seq: u32,
    /// How many of them are PENDING.
    pub pending: u32,
}

/// Divides the list into stretches of `size` places; those with nobody to send to are left out.
pub async fn read_seq_ranges(
    db: &mut MySqlConnection,
    id: Uuid,
    size: u32,
) -> sqlx::Result<Vec<PendingRange>> {
    sqlx::query_as!(
        PendingRange,
        r#"SELECT MIN(seq) AS "first_seq!: u32", MAX(seq) AS "last_seq!: u32", CAST(SUM(status = 'PENDING') AS UNSIGNED) AS "pending!: u32"
           FROM recipients WHERE schedule_id = ? GROUP BY (seq - 1) DIV ? HAVING SUM(status = 'PENDING') > 0 ORDER BY MIN(seq)"#,
        id,
        size
    )
    .fetch_all(db)
    .await
}

/// What the cut makes of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its batches are to be sent.
    Running,
    /// Cancelled before it was cut: its batches close their recipients.
    Cancelled,
}

impl Outcome {
    /// The status that the schedule has afterwards.
    pub const fn status(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Notes that a schedule is cut. The conditions repeat what the lock already holds, so that no caller can cut twice.
pub async fn mark_cut(
    db: &mut MySqlConnection,
    schedule: DispatchMessage,
    cut: (Outcome, u32, &str),
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let (outcome, batch_count, dispatched_by) = cut;
    let done = sqlx::query!(
        "UPDATE schedules SET status = ?, batch_count = ?, dispatched_by = ?, dispatched_at = ?
         WHERE id = ? AND version = ? AND batch_count IS NULL AND status IN ('scheduled', 'cancelled')",
        outcome.status(),
        batch_count,
        dispatched_by,
        now,
        schedule.schedule_id,
        schedule.version
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Notes that a schedule was found later than its maximum lateness. It is not cut: its recipients stay as they are until a person has
/// it sent after all, or cancels it.
pub async fn mark_missed(
    db: &mut MySqlConnection,
    schedule: DispatchMessage,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'missed' WHERE id = ? AND version = ? AND batch_count IS NULL AND status = 'scheduled'",
        schedule.schedule_id,
        schedule.version
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// A batch to be inserted. Times are UTC, as `DATETIME(3)` reads them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewBatch {
    /// `batches.batch_no`
    #[serde(rename = "n")]
    pub batch_no: u32,
    /// First seq.
    #[serde(rename = "f")]
    pub first_seq: u32,
    /// Last seq.
    #[serde(rename = "l")]
    pub last_seq: u32,
    /// Recipients to send to.
    #[serde(rename = "p")]
    pub pending: u32,
    /// When it is sent.
    #[serde(rename = "t", serialize_with = "as_datetime")]
    pub send_at: DateTime<Utc>,
    /// When the sweep may enqueue it.
    #[serde(rename = "s", serialize_with = "as_datetime")]
    pub sweep_at: DateTime<Utc>,
}

/// Inserts the batches of a schedule, one bind for all.
pub async fn insert_batches(
    db: &mut MySqlConnection,
    id: Uuid,
    batches: &[NewBatch],
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, pending, planned_at, send_at, sweep_at)
         SELECT ?, j.n, j.f, j.l, j.p, j.t, j.t, j.s FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT UNSIGNED PATH '$.n',
           f INT UNSIGNED PATH '$.f', l INT UNSIGNED PATH '$.l', p INT UNSIGNED PATH '$.p', t DATETIME(3) PATH '$.t',
           s DATETIME(3) PATH '$.s')) j",
        id,
        to_json(batches)?
    );
    done.execute(db).await.map(drop)
}

/// Notes that batches are on the queue: the sweep looks at them only if they are still there then. Send first, then mark: a
/// crash between the two costs one duplicate message, never a batch.
pub async fn mark_enqueued(
    db: &Db,
    id: Uuid,
    batches: &[NewBatch],
    backoff: &Backoff,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        // A batch claimed meanwhile has a sweep_at of its own, which stays.
        "UPDATE batches b JOIN JSON_TABLE(?, '$[*]' COLUMNS (n INT UNSIGNED PATH '$.n', t DATETIME(3) PATH '$.t')) j
         SET b.sweep_at = j.t + INTERVAL ? SECOND
         WHERE b.schedule_id = ? AND b.batch_no = j.n AND b.claim_token IS NULL AND b.send_at = j.t AND b.requeues = 0",
        to_json(batches)?,
        backoff.sweep.num_seconds(),
        id
    );
    done.execute(&db.pool).await.map(drop)
}
