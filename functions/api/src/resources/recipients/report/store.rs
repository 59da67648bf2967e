//! The statements of reports.

use chrono::{DateTime, Utc};
use shared::{batch::SeqRange, message::status::Status};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{http::page::ListWalk, resources::recipients::names::NameFilter};

/// Selects the recipients of a report. Both bounds apply to `sent_at`; with either of them,
/// the report has only recipients to whom something was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportFilter<'a> {
    /// In this state.
    pub status: Option<Status>,
    /// Sent at or after.
    pub from: Option<DateTime<Utc>>,
    /// Sent before.
    pub to: Option<DateTime<Utc>>,
    /// Changed at this time or later, or on its way.
    pub changed_since: Option<DateTime<Utc>>,
    /// Also INVALID entries.
    pub with_invalid: bool,
    /// With a reference or of a group.
    pub names: Option<&'a NameFilter>,
}

/// A recipient as the table has it.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct ReportedRecipient {
    pub seq: u32,
    pub phone: Option<String>,
    pub input: Option<String>,
    pub status: String,
    pub attempt: u32,
    pub sends: u32,
    pub resends: u32,
    pub message_id: Option<String>,
    pub carrier_status: Option<String>,
    pub error: Option<String>,
    pub sent_at: Option<DateTime<Utc>>,
    pub final_at: Option<DateTime<Utc>>,
}

/// Returns recipients of a part of a list.
pub async fn reported_recipients(
    connection: &mut MySqlConnection,
    id: Uuid,
    filter: ReportFilter<'_>,
    walk: ListWalk,
) -> sqlx::Result<Vec<ReportedRecipient>> {
    let status = filter.status.map(Status::as_str);
    sqlx::query_as!(
        ReportedRecipient,
        r#"SELECT seq, IF(phone LIKE '#%', NULL, phone) AS phone, input, status, attempt, sends AS "sends!: u32", resends, message_id, carrier_status, error,
             sent_at AS "sent_at: DateTime<Utc>", final_at AS "final_at: DateTime<Utc>"
           FROM recipients
           WHERE schedule_id = ? AND seq > ? AND seq <= ? AND (? OR status <> 'INVALID') AND (? IS NULL OR status = ?)
             AND (? IS NULL OR sent_at >= ?) AND (? IS NULL OR sent_at < ?)
             AND (? IS NULL OR sent_at >= ? OR final_at >= ? OR (final_at IS NULL AND attempt > 0))
           ORDER BY seq LIMIT ?"#,
        id,
        walk.after,
        walk.through,
        filter.with_invalid,
        status,
        status,
        filter.from,
        filter.from,
        filter.to,
        filter.to,
        filter.changed_since,
        filter.changed_since,
        filter.changed_since,
        walk.limit
    )
    .fetch_all(connection)
    .await
}

/// The planned time of a batch.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct PlannedBatch {
    pub first_seq: u32,
    pub last_seq: u32,
    pub planned_at: DateTime<Utc>,
}

/// Returns the batches that overlap a range of a list, in its order.
pub async fn planned_batches(
    connection: &mut MySqlConnection,
    id: Uuid,
    range: SeqRange,
) -> sqlx::Result<Vec<PlannedBatch>> {
    let batches = sqlx::query_as!(
        PlannedBatch,
        // The last batch that can overlap the range is the first one that does not end before it. So
        // only overlapping batches are read, however many there are.
        r#"SELECT b.first_seq, b.last_seq, b.planned_at AS "planned_at: DateTime<Utc>"
           FROM batches b FORCE INDEX (by_last_seq)
           WHERE b.schedule_id = ? AND b.last_seq >= ?
             AND b.last_seq <= (SELECT COALESCE(MIN(x.last_seq), ?) FROM batches x WHERE x.schedule_id = ? AND x.last_seq >= ?)"#,
        id,
        range.first,
        range.last,
        id,
        range.last
    );
    let mut batches = batches.fetch_all(connection).await?;
    batches.sort_unstable_by_key(|batch| batch.last_seq);
    Ok(batches)
}
