//! The statements of the cut: a due schedule becomes `running` and gets its batches in one
//! transaction.
//!
//! The transaction holds the lock that appends and changes of time take too. Without it, no sweep
//! would find a schedule whose process crashed between the two statements.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    platform::{
        db::json::{as_datetime, to_json},
        queue::DispatchMessage,
    },
    schedule::{start::Start, status::ScheduleStatus},
};
use sqlx::{MySqlConnection, types::Uuid};

use crate::DispatchedBy;

/// A schedule that may be cut, locked.
#[derive(Clone, Debug)]
pub struct ScheduleToCut {
    /// `schedules.status`
    pub status: ScheduleStatus,
    /// `schedules.version`
    pub version: u32,
    /// When it is sent.
    pub run_at: DateTime<Utc>,
    /// Messages per second.
    pub rate: Option<u32>,
    /// The number of recipients.
    pub recipient_count: u32,
    /// The number of parts of each message.
    pub parts: u16,
    /// `schedules.send_window`
    pub send_window: Option<String>,
    /// `schedules.opens_at`
    pub opens_at: Option<DateTime<Utc>>,
    /// The end, as a time.
    pub send_until: Option<DateTime<Utc>>,
    /// The end, as seconds after `run_at`.
    pub send_within_s: Option<u32>,
    /// `schedules.max_lateness_s`
    pub max_lateness_s: u32,
    /// `None`: not cut yet.
    pub batch_count: Option<u32>,
}

impl ScheduleToCut {
    /// Returns when it begins. This is computed anew, because a release that does not know `opens_at`
    /// may have written the row.
    pub fn start(&self) -> Start<'_> {
        Start {
            run_at: self.run_at,
            send_window: self.send_window.as_deref(),
            send_until: self.send_until,
            send_within_s: self.send_within_s,
        }
    }
}

/// Reads a schedule, and locks it until the transaction ends.
pub async fn lock_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<ScheduleToCut>> {
    sqlx::query_as!(
        ScheduleToCut,
        r#"SELECT status AS "status: ScheduleStatus", version, run_at AS "run_at: DateTime<Utc>", recipient_count, rate, parts, send_window,
             opens_at AS "opens_at: DateTime<Utc>", send_until AS "send_until: DateTime<Utc>", send_within_s, max_lateness_s, batch_count
           FROM schedules WHERE id = ? FOR UPDATE"#,
        id
    )
    .fetch_optional(connection)
    .await
}

/// A range of the recipient list with recipients to send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingRange {
    /// The first existing seq.
    pub first_seq: u32,
    /// The last existing seq.
    pub last_seq: u32,
    /// How many of its recipients are PENDING.
    pub pending: u32,
    /// How many of them were cancelled one by one.
    pub cancelled: u32,
}

/// Divides a part of the recipient list into ranges of `size` places. Ranges without a PENDING recipient are
/// left out.
pub async fn read_pending_ranges(
    connection: &mut MySqlConnection,
    id: Uuid,
    size: u32,
    part: RangeInclusive<u32>,
) -> sqlx::Result<Vec<PendingRange>> {
    sqlx::query_as!(
        PendingRange,
        r#"SELECT MIN(seq) AS "first_seq!: u32", MAX(seq) AS "last_seq!: u32", CAST(SUM(status = 'PENDING') AS UNSIGNED) AS "pending!: u32",
             CAST(SUM(status = 'CANCELLED') AS UNSIGNED) AS "cancelled!: u32"
           FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ? GROUP BY (seq - 1) DIV ? HAVING SUM(status = 'PENDING') > 0 ORDER BY MIN(seq)"#,
        id,
        part.start(),
        part.end(),
        size
    )
    .fetch_all(connection)
    .await
}

/// Returns the place of the last recipient of a canary: there are as many PENDING ones up to it. `None`:
/// the list has no more than that.
pub async fn last_of_canary(
    connection: &mut MySqlConnection,
    id: Uuid,
    recipients: u32,
) -> sqlx::Result<Option<u32>> {
    let last = sqlx::query_scalar!(
        "SELECT seq FROM recipients WHERE schedule_id = ? AND status = 'PENDING' ORDER BY seq LIMIT 2 OFFSET ?",
        id,
        recipients.saturating_sub(1)
    );
    let last = last.fetch_all(connection).await?;
    Ok(last.first().copied().filter(|_| last.len() > 1))
}

/// The status of a schedule after its cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutStatus {
    /// Its batches are sent.
    Running,
    /// Cancelled before the cut: its batches close their recipients.
    Cancelled,
}

impl From<CutStatus> for ScheduleStatus {
    fn from(status: CutStatus) -> Self {
        match status {
            CutStatus::Running => Self::Running,
            CutStatus::Cancelled => Self::Cancelled,
        }
    }
}

/// The columns that a cut sets in the row of its schedule.
#[derive(Clone, Copy, Debug)]
pub struct CutMark {
    /// `schedules.status`
    pub status: CutStatus,
    /// `schedules.batch_count`
    pub batch_count: u32,
    /// The cancelled recipients that are counted in a batch from now on.
    pub cancelled: u32,
    /// `schedules.dispatched_by`
    pub dispatched_by: DispatchedBy,
    /// `schedules.dispatched_at`
    pub at: DateTime<Utc>,
}

/// Marks a schedule as cut; returns false if it is not of this version or cut already. The
/// conditions repeat what the lock guarantees, so that no caller can cut twice.
pub async fn mark_cut(
    connection: &mut MySqlConnection,
    schedule: DispatchMessage,
    mark: CutMark,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = ?, batch_count = ?, cancelled_count = GREATEST(cancelled_count, ?) - ?, dispatched_by = ?, dispatched_at = ?
         WHERE id = ? AND version = ? AND batch_count IS NULL AND status IN ('scheduled', 'cancelled')",
        ScheduleStatus::from(mark.status).as_str(),
        mark.batch_count,
        mark.cancelled,
        mark.cancelled,
        mark.dispatched_by.as_str(),
        mark.at,
        schedule.schedule_id,
        schedule.version
    );
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

/// Marks a schedule as missed: it was found later than its maximum lateness. It is not cut, and its
/// recipients stay as they are until an operator has it sent after all or cancels it. Returns false
/// if it is not of this version, cut already or not `scheduled`.
pub async fn mark_missed(
    connection: &mut MySqlConnection,
    schedule: DispatchMessage,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'missed' WHERE id = ? AND version = ? AND batch_count IS NULL AND status = 'scheduled'",
        schedule.schedule_id,
        schedule.version
    );
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

/// Writes when a schedule begins that is not cut. Returns nothing: if its version has changed, the
/// change has written it.
pub async fn set_opening(
    connection: &mut MySqlConnection,
    schedule: DispatchMessage,
    opens_at: Option<DateTime<Utc>>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET opens_at = ? WHERE id = ? AND version = ? AND batch_count IS NULL",
        opens_at,
        schedule.schedule_id,
        schedule.version
    );
    done.execute(connection).await.map(drop)
}

/// A batch to insert. Times are UTC, in the format of `DATETIME(3)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewBatch {
    /// `batches.batch_no`
    #[serde(rename = "n")]
    pub batch_no: u32,
    /// The first seq.
    #[serde(rename = "f")]
    pub first_seq: u32,
    /// The last seq.
    #[serde(rename = "l")]
    pub last_seq: u32,
    /// Recipients to send to.
    #[serde(rename = "p")]
    pub pending: u32,
    /// Recipients that were cancelled one by one.
    #[serde(rename = "c")]
    pub cancelled: u32,
    /// When it is sent.
    #[serde(rename = "t", serialize_with = "as_datetime")]
    pub send_at: DateTime<Utc>,
}

/// Batches per statement: a megabyte, far below any `max_allowed_packet`.
const INSERTED_AT_ONCE: usize = 10_000;

/// Inserts the batches of a schedule, with one bind for many of them. They wait for their turn.
pub async fn insert_batches(
    connection: &mut MySqlConnection,
    id: Uuid,
    batches: &[NewBatch],
) -> sqlx::Result<()> {
    for batches in batches.chunks(INSERTED_AT_ONCE) {
        insert_some(connection, id, batches).await?;
    }
    Ok(())
}

async fn insert_some(
    connection: &mut MySqlConnection,
    id: Uuid,
    batches: &[NewBatch],
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, pending, cancelled, planned_at, send_at, waiting, sweep_at)
         SELECT ?, j.n, j.f, j.l, j.p, j.c, j.t, j.t, 1, '9999-01-01' FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT UNSIGNED PATH '$.n',
           f INT UNSIGNED PATH '$.f', l INT UNSIGNED PATH '$.l', p INT UNSIGNED PATH '$.p', c INT UNSIGNED PATH '$.c', t DATETIME(3) PATH '$.t')) j",
        id,
        to_json(batches)?
    );
    done.execute(connection).await.map(drop)
}
