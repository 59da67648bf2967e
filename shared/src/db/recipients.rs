//! `recipients`, as the API writes and reads them: lists come in by chunks of a few thousand, and go out by pages and counts.

use std::{collections::BTreeMap, fmt::Write};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{db::schedules::Schedule, phone::Phone, status::Status};

/// How many recipients are in each state.
pub type Counts = BTreeMap<Status, u64>;

/// An entry that is no valid number, kept for the report.
#[derive(Debug)]
pub struct InvalidEntry<'a> {
    /// Its place.
    pub seq: u32,
    /// Its line or index in the call.
    pub position: u32,
    /// What was given, at most 64 characters.
    pub input: &'a str,
    /// Why it isn't valid: a code, at most 64 characters.
    pub code: &'a str,
}

/// One recipient as it is shown.
#[derive(Debug, JsonSchema, Serialize)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Recipient {
    pub seq: u32,
    pub phone: Option<String>,
    pub input: Option<String>,
    pub position: Option<u32>,
    #[schemars(with = "Status")]
    pub status: String,
    pub attempt: u32,
    pub resends: u32,
    pub message_id: Option<String>,
    pub carrier_status: Option<String>,
    pub error: Option<String>,
    pub sent_at: Option<DateTime<Utc>>,
    pub final_at: Option<DateTime<Utc>>,
}

/// Adds numbers, each at its place; those that the schedule has already are left out. Returns how many were new: counted from
/// the rows between `first` and `last`, which have to be free before, because `CLIENT_FOUND_ROWS` makes an insert and a
/// duplicate report the same.
pub async fn insert_recipients(
    connection: &mut MySqlConnection,
    id: Uuid,
    rows: &[(u32, Phone)],
) -> sqlx::Result<u32> {
    let places = rows.iter().map(|(seq, _)| *seq);
    let (Some(first), Some(last)) = (places.clone().min(), places.max()) else {
        return Ok(0);
    };
    let mut json = String::with_capacity(rows.len() * 28);
    for (seq, phone) in rows {
        let comma = if json.is_empty() { '[' } else { ',' };
        // Writing to a String never fails.
        let _ = write!(json, "{comma}[{seq},\"{phone}\"]");
    }
    json.push(']');
    sqlx::query!(
        "INSERT INTO recipients (schedule_id, seq, phone)
         SELECT ?, j.seq, j.phone
         FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$[0]', phone VARCHAR(16) PATH '$[1]')) j
         ON DUPLICATE KEY UPDATE seq = recipients.seq -- in this schedule already: stays as it is",
        id,
        json
    )
    .execute(&mut *connection)
    .await?;
    let new = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "new!: i64" FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?"#,
        id,
        first,
        last
    )
    .fetch_one(connection)
    .await?;
    Ok(new as u32)
}

/// Keeps entries that are no valid numbers; final from the start.
pub async fn insert_invalid_entries(
    connection: &mut MySqlConnection,
    id: Uuid,
    entries: &[InvalidEntry<'_>],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| (entry.seq, entry.position, entry.input, entry.code))
        .collect();
    sqlx::query!(
        "INSERT INTO recipients (schedule_id, seq, position, input, status, error, final_at)
         SELECT ?, j.seq, j.position, j.input, 'INVALID', j.code, ?
         FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$[0]', position INT UNSIGNED PATH '$[1]',
           input VARCHAR(64) PATH '$[2]', code VARCHAR(64) PATH '$[3]')) j",
        id,
        now,
        serde_json::json!(rows).to_string()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Recipients after place `after`, in one state or all. No index knows the state: a rare one may cost a walk over the list.
pub async fn page_of_recipients(
    connection: &mut MySqlConnection,
    id: Uuid,
    status: Option<Status>,
    (after, limit): (u32, u32),
) -> sqlx::Result<Vec<Recipient>> {
    let status = status.map(Status::as_str);
    sqlx::query_as!(
        Recipient,
        r#"SELECT seq, phone, input, position, status, attempt, resends, message_id, carrier_status, error,
             sent_at AS "sent_at: DateTime<Utc>", final_at AS "final_at: DateTime<Utc>"
           FROM recipients WHERE schedule_id = ? AND seq > ? AND (? IS NULL OR status = ?) ORDER BY seq LIMIT ?"#,
        id,
        after,
        status,
        status,
        limit
    )
    .fetch_all(connection)
    .await
}

/// How many of a schedule's recipients are in each state, right at any moment and cheap for a million rows: before the cut
/// from the schedule's row; then from the batches, whose counts were taken from the rows when they were last released, and
/// for the few that somebody works on from the rows themselves. In one transaction with the read of `schedule`.
pub async fn count_by_status(
    connection: &mut MySqlConnection,
    schedule: &Schedule,
) -> sqlx::Result<Counts> {
    let mut counts: Counts = Status::ALL.into_iter().map(|status| (status, 0)).collect();
    counts.insert(Status::Invalid, schedule.invalid_count.into());
    if schedule.batch_count.is_none() {
        counts.insert(Status::Pending, schedule.recipient_count.into());
        return Ok(counts);
    }
    for (status, count) in sum_released_batches(connection, schedule.id).await? {
        counts.insert(status, count as u64);
    }
    for (first, last) in claimed_ranges(connection, schedule.id).await? {
        for (status, count) in count_range(connection, schedule.id, first, last).await? {
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

async fn claimed_ranges(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Vec<(u32, u32)>> {
    let ranges = sqlx::query!(
        "SELECT first_seq, last_seq FROM batches WHERE schedule_id = ? AND claim_token IS NOT NULL ORDER BY batch_no",
        id
    );
    Ok(ranges
        .fetch_all(connection)
        .await?
        .into_iter()
        .map(|range| (range.first_seq, range.last_seq))
        .collect())
}

/// How many recipients of a range are in each state, INVALID ones apart. A range at a time: joined to the batches, the optimiser would
/// not see the bounds and walk over the whole schedule.
pub async fn count_range(
    connection: &mut MySqlConnection,
    id: Uuid,
    first: u32,
    last: u32,
) -> sqlx::Result<Vec<(Status, i64)>> {
    let counts = sqlx::query!(
        r#"SELECT status, COUNT(*) AS "count!: i64" FROM recipients
           WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND status <> 'INVALID' GROUP BY status"#,
        id,
        first,
        last
    );
    let counts = counts.fetch_all(connection).await?;
    Ok(counts
        .into_iter()
        .filter_map(|row| Some((Status::parse(&row.status)?, row.count)))
        .collect())
}
