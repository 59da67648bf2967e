//! The statements of summaries: which are to be computed, the durations of a range of recipients,
//! and what was computed.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use shared::platform::db::Db;
use sqlx::types::Uuid;

use super::{
    Durations, PlannedRange, Summary,
    histogram::{Histogram, log_width},
};

/// What was sent so much before its planned time was planned anew afterwards. The clocks of two
/// environments differ by less.
const PLANNED_ANEW: TimeDelta = TimeDelta::seconds(1);

/// A summary that is to be computed, as its row has it.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct SummaryRow {
    pub schedule_id: Uuid,
    pub finishes: u32,
    pub next_batch: u32,
    pub histograms: Option<String>,
}

/// Returns at most `most` summaries that are to be computed, the oldest first. A schedule that runs
/// again is not among them: when it finishes, its summary begins anew.
pub async fn summaries_to_compute(db: &Db, most: u32) -> sqlx::Result<Vec<SummaryRow>> {
    sqlx::query_as!(
        SummaryRow,
        r#"SELECT STRAIGHT_JOIN y.schedule_id AS "schedule_id: Uuid", y.finishes, y.next_batch, y.histograms
           FROM schedule_summaries y FORCE INDEX (to_compute) JOIN schedules s ON s.id = y.schedule_id
           WHERE y.done_at IS NULL AND s.status = 'finished' ORDER BY y.requested_at LIMIT ?"#,
        most
    )
    .fetch_all(db)
    .await
}

/// A batch with its planned time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct PlannedBatch {
    pub batch_no: u32,
    pub first_seq: u32,
    pub last_seq: u32,
    pub planned_at: DateTime<Utc>,
}

/// Returns the next batches of a schedule, in their order.
pub async fn next_batches(
    db: &Db,
    schedule_id: Uuid,
    from: u32,
    most: u32,
) -> sqlx::Result<Vec<PlannedBatch>> {
    sqlx::query_as!(
        PlannedBatch,
        r#"SELECT batch_no, first_seq, last_seq, planned_at AS "planned_at: DateTime<Utc>"
           FROM batches WHERE schedule_id = ? AND batch_no >= ? ORDER BY batch_no LIMIT ?"#,
        schedule_id,
        from,
        most
    )
    .fetch_all(db)
    .await
}

/// Recipients of a range whose durations are in the same buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationCount {
    /// The bucket from the planned time to the first request; `None`: not known.
    pub due_bucket: Option<u32>,
    /// The longest of these durations.
    pub due_max_ms: Option<u64>,
    /// The bucket from the last request to the final state; `None`: the carrier has not told it.
    pub final_bucket: Option<u32>,
    /// The longest of these durations.
    pub final_max_ms: Option<u64>,
    /// How many recipients.
    pub count: u64,
}

/// Counts the durations of the recipients of a range that is planned for one time.
///
/// Only messages that the carrier has accepted count, which have its id. The first request of one
/// that was sent again is among its attempts. A batch of which something is sent later, after a
/// pause for example, is planned anew as a whole: when the messages were due that had been sent
/// before is not known any more. UNKNOWN is no report of the carrier.
///
/// The bounds are values: in a join with the batches, the optimizer would scan the whole schedule.
pub async fn count_durations(
    db: &Db,
    schedule_id: Uuid,
    planned: PlannedRange,
) -> sqlx::Result<Vec<DurationCount>> {
    let log_width = log_width();
    let PlannedRange { range, planned_at } = planned;
    sqlx::query_as!(
        DurationCount,
        r#"SELECT CAST(FLOOR(LN(GREATEST(d.due_ms, 1)) / ?) + (d.due_ms > 0) AS UNSIGNED) AS "due_bucket: u32",
             CAST(FLOOR(LN(GREATEST(d.final_ms, 1)) / ?) + (d.final_ms > 0) AS UNSIGNED) AS "final_bucket: u32",
             CAST(MAX(d.due_ms) AS UNSIGNED) AS "due_max_ms: u64", CAST(MAX(d.final_ms) AS UNSIGNED) AS "final_max_ms: u64",
             CAST(COUNT(*) AS UNSIGNED) AS "count!: u64"
           FROM (
             SELECT IF(t.first_sent_at < ?, NULL, GREATEST(TIMESTAMPDIFF(MICROSECOND, ?, t.first_sent_at) DIV 1000, 0)) AS due_ms,
               GREATEST(TIMESTAMPDIFF(MICROSECOND, t.sent_at, t.reported_at) DIV 1000, 0) AS final_ms
             FROM (
               SELECT r.sent_at, IF(r.status = 'UNKNOWN', NULL, r.final_at) AS reported_at,
                 IF(r.resends > 0, COALESCE((SELECT MIN(a.sent_at) FROM attempts a WHERE a.schedule_id = r.schedule_id AND a.seq = r.seq), r.sent_at), r.sent_at) AS first_sent_at
               FROM recipients r
               WHERE r.schedule_id = ? AND r.seq BETWEEN ? AND ? AND r.id_start <> ''
                 AND r.status IN ('ACCEPTD', 'ENROUTE', 'DELIVRD', 'UNDELIV', 'EXPIRED', 'DELETED', 'REJECTD', 'UNKNOWN')) t) d
           GROUP BY 1, 2"#,
        log_width,
        log_width,
        planned_at - PLANNED_ANEW,
        planned_at,
        schedule_id,
        range.first,
        range.last
    )
    .fetch_all(db)
    .await
}

/// Writes how far a computation has come. Returns false if its row is not as it was read: another
/// sweep goes on with it, or the schedule has finished again.
pub async fn save(db: &Db, summary: &Summary, next_batch: u32) -> sqlx::Result<bool> {
    let saved = sqlx::query!(
        "UPDATE schedule_summaries SET next_batch = ?, histograms = ?
         WHERE schedule_id = ? AND finishes = ? AND next_batch = ? AND done_at IS NULL",
        next_batch,
        json!(summary.durations).to_string(),
        summary.schedule_id,
        summary.finishes,
        summary.next_batch
    );
    Ok(saved.execute(db).await?.rows_affected() == 1)
}

/// Discards what was computed, under the same condition.
pub async fn begin_anew(db: &Db, row: &SummaryRow) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedule_summaries SET next_batch = 1, histograms = NULL
         WHERE schedule_id = ? AND finishes = ? AND next_batch = ? AND done_at IS NULL",
        row.schedule_id,
        row.finishes,
        row.next_batch
    );
    done.execute(db).await.map(drop)
}

/// Writes a summary that is complete, under the same condition.
pub async fn complete(db: &Db, summary: &Summary, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let Durations {
        due_to_sent,
        sent_to_final,
    } = &summary.durations;
    let percentile = Histogram::percentile_ms;
    let completed = sqlx::query!(
        "UPDATE schedule_summaries SET done_at = ?, histograms = NULL,
           due_to_sent_count = ?, due_to_sent_p50_ms = ?, due_to_sent_p99_ms = ?, due_to_sent_max_ms = ?,
           sent_to_final_count = ?, sent_to_final_p50_ms = ?, sent_to_final_p99_ms = ?, sent_to_final_max_ms = ?
         WHERE schedule_id = ? AND finishes = ? AND next_batch = ? AND done_at IS NULL",
        now,
        due_to_sent.count(),
        percentile(due_to_sent, 50),
        percentile(due_to_sent, 99),
        due_to_sent.max_ms(),
        sent_to_final.count(),
        percentile(sent_to_final, 50),
        percentile(sent_to_final, 99),
        sent_to_final.max_ms(),
        summary.schedule_id,
        summary.finishes,
        summary.next_batch
    );
    Ok(completed.execute(db).await?.rows_affected() == 1)
}
