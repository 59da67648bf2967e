//! The number of recipients of a schedule in each status.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;
use uuid::Uuid;

use super::row::Schedule;
use crate::message::{seq_range::SeqRange, status::Status};

/// The number of recipients in each status.
pub type Counts = BTreeMap<Status, u64>;

/// Counts the recipients of a schedule by status: correct at any moment, and cheap for a million
/// rows.
///
/// Before the cut, the counts come from the schedule's row. After it they come from the batches,
/// which are counted at each release; the few batches that are claimed are counted from their rows.
/// Runs in one transaction with the read of `schedule`.
pub async fn count_by_status(
    connection: &mut MySqlConnection,
    schedule: &Schedule,
) -> sqlx::Result<Counts> {
    let mut counts: Counts = Status::ALL.into_iter().map(|status| (status, 0)).collect();
    counts.insert(Status::Invalid, schedule.invalid_count.into());
    let cancelled = u64::from(schedule.cancelled_count);
    if schedule.batch_count.is_none() {
        let pending = u64::from(schedule.recipient_count).saturating_sub(cancelled);
        counts.extend([(Status::Pending, pending), (Status::Cancelled, cancelled)]);
        return Ok(counts);
    }
    for (status, count) in sum_released_batches(connection, schedule.id).await? {
        counts.insert(status, count as u64);
    }
    // Those that are in no batch, because their whole range was cancelled before the cut.
    *counts.entry(Status::Cancelled).or_default() += cancelled;
    for range in claimed_ranges(connection, schedule.id).await? {
        for (status, count) in count_range(connection, schedule.id, range).await? {
            *counts.entry(status).or_default() += count as u64;
        }
    }
    Ok(counts)
}

async fn sum_released_batches(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<[(Status, i64); 13]> {
    let sum = sqlx::query!(
        r#"SELECT CAST(COALESCE(SUM(pending), 0) AS SIGNED) AS "pending!: i64",
             CAST(COALESCE(SUM(sending), 0) AS SIGNED) AS "sending!: i64",
             CAST(COALESCE(SUM(uncertain), 0) AS SIGNED) AS "uncertain!: i64",
             CAST(COALESCE(SUM(acceptd), 0) AS SIGNED) AS "acceptd!: i64",
             CAST(COALESCE(SUM(enroute), 0) AS SIGNED) AS "enroute!: i64",
             CAST(COALESCE(SUM(delivrd), 0) AS SIGNED) AS "delivrd!: i64",
             CAST(COALESCE(SUM(undeliv), 0) AS SIGNED) AS "undeliv!: i64",
             CAST(COALESCE(SUM(expired), 0) AS SIGNED) AS "expired!: i64",
             CAST(COALESCE(SUM(deleted), 0) AS SIGNED) AS "deleted!: i64",
             CAST(COALESCE(SUM(rejectd), 0) AS SIGNED) AS "rejectd!: i64",
             CAST(COALESCE(SUM(unknown), 0) AS SIGNED) AS "unknown!: i64",
             CAST(COALESCE(SUM(cancelled), 0) AS SIGNED) AS "cancelled!: i64",
             CAST(COALESCE(SUM(suppressed), 0) AS SIGNED) AS "suppressed!: i64"
           FROM batches WHERE schedule_id = ? AND claim_token IS NULL"#,
        id
    )
    .fetch_one(connection)
    .await?;
    Ok([
        (Status::Pending, sum.pending),
        (Status::Sending, sum.sending),
        (Status::Uncertain, sum.uncertain),
        (Status::Acceptd, sum.acceptd),
        (Status::Enroute, sum.enroute),
        (Status::Delivrd, sum.delivrd),
        (Status::Undeliv, sum.undeliv),
        (Status::Expired, sum.expired),
        (Status::Deleted, sum.deleted),
        (Status::Rejectd, sum.rejectd),
        (Status::Unknown, sum.unknown),
        (Status::Cancelled, sum.cancelled),
        (Status::Suppressed, sum.suppressed),
    ])
}

async fn claimed_ranges(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<Vec<SeqRange>> {
    let ranges = sqlx::query!(
        "SELECT first_seq, last_seq FROM batches WHERE schedule_id = ? AND claim_token IS NOT NULL ORDER BY batch_no",
        id
    );
    Ok(ranges
        .fetch_all(connection)
        .await?
        .into_iter()
        .map(|batch| SeqRange::new(batch.first_seq, batch.last_seq))
        .collect())
}

/// Counts the recipients of a range by status, without INVALID ones.
///
/// It takes one range per statement: in a join with the batches, the optimizer would not see the
/// bounds and would scan the whole schedule.
pub async fn count_range(
    connection: &mut MySqlConnection,
    id: Uuid,
    range: SeqRange,
) -> sqlx::Result<Vec<(Status, i64)>> {
    let counts = sqlx::query!(
        r#"SELECT status, COUNT(*) AS "count!: i64" FROM recipients
           WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND status <> 'INVALID' GROUP BY status"#,
        id,
        range.first,
        range.last
    );
    let counts = counts.fetch_all(connection).await?;
    Ok(counts
        .into_iter()
        .filter_map(|row| Some((Status::parse(&row.status)?, row.count)))
        .collect())
}
