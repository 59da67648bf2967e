//! UNCERTAIN recipients, of whom a person says what became of them: sent, or to be sent again. One batch a transaction, under the
//! locks of the schedule's row, then the batch's, then the recipients'.
//!
//! An owner that was frozen may still come back with an answer. It needs the attempt and finds the row moved on; since the claim is
//! taken away here, it sees that the batch is not its own any more, and its answer goes to `attempts`, where the old attempt is kept.

use chrono::{DateTime, Utc};
use shared::platform::backoff::MAX_CRASHES;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A batch, locked.
#[derive(Clone, Copy, Debug)]
pub struct LockedBatch {
    /// First `recipients.seq`.
    pub first_seq: u32,
    /// Last `recipients.seq`.
    pub last_seq: u32,
    /// Its owner's lease has not ended.
    pub owned: bool,
    /// What is PENDING in it waits for a person, having been found too late.
    pub held: bool,
    /// It waits for a retry.
    pub parked: bool,
}

/// Reads a batch and keeps it from being claimed until the transaction ends.
pub async fn lock_batch(
    connection: &mut MySqlConnection,
    id: Uuid,
    batch_no: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<LockedBatch>> {
    sqlx::query_as!(
        LockedBatch,
        r#"SELECT first_seq, last_seq, COALESCE(claimed_until >= ?, FALSE) AS "owned!: bool", missed_at IS NOT NULL AS "held!: bool",
             crashes >= ? AS "parked!: bool"
           FROM batches WHERE schedule_id = ? AND batch_no = ? FOR UPDATE"#,
        now,
        MAX_CRASHES,
        id,
        batch_no
    )
    .fetch_optional(connection)
    .await
}

/// An UNCERTAIN recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncertain {
    /// Its place.
    pub seq: u32,
    /// When the request went out whose answer was lost.
    pub sent_at: DateTime<Utc>,
}

/// The UNCERTAIN recipients of a range, locked.
pub async fn lock_uncertain(
    connection: &mut MySqlConnection,
    id: Uuid,
    range: (u32, u32),
) -> sqlx::Result<Vec<Uncertain>> {
    sqlx::query_as!(
        Uncertain,
        r#"SELECT seq, sent_at AS "sent_at!: DateTime<Utc>" FROM recipients
           WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND status = 'UNCERTAIN' ORDER BY seq FOR UPDATE"#,
        id,
        range.0,
        range.1
    )
    .fetch_all(connection)
    .await
}

/// They were accepted, says a person; their delivery will never be known, and they are never sent again.
pub async fn close_as_sent(
    connection: &mut MySqlConnection,
    id: Uuid,
    seqs: &[u32],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$')) j
         SET r.status = 'UNKNOWN', r.error = 'resolved as sent', r.final_at = ?
         WHERE r.schedule_id = ? AND r.seq = j.seq AND r.status = 'UNCERTAIN'",
        serde_json::json!(seqs).to_string(),
        now,
        id
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// They are to be sent again, says a person. The attempt is kept in `attempts` as it stands; its number stays, the next mark raises it.
pub async fn send_again(
    connection: &mut MySqlConnection,
    id: Uuid,
    seqs: &[u32],
) -> sqlx::Result<u64> {
    let json = serde_json::json!(seqs).to_string();
    sqlx::query!(
        "INSERT INTO attempts (schedule_id, seq, attempt, status, message_id, carrier_status, error, sent_at, final_at)
         SELECT r.schedule_id, r.seq, r.attempt, r.status, r.message_id, r.carrier_status, r.error, r.sent_at, NULL
         FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$')) j
           STRAIGHT_JOIN recipients r ON r.schedule_id = ? AND r.seq = j.seq
         WHERE r.status = 'UNCERTAIN'",
        json,
        id
    )
    .execute(&mut *connection)
    .await?;
    let done = sqlx::query!(
        "UPDATE recipients r JOIN JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$')) j
         SET r.status = 'PENDING', r.resends = r.resends + 1, r.message_id = NULL, r.carrier_status = NULL, r.error = NULL
         WHERE r.schedule_id = ? AND r.seq = j.seq AND r.status = 'UNCERTAIN'",
        json,
        id
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// Has the next pass count again and decide again, as `outcomes::make_due_if_lease_lost` does; a lease that is over ends here. The counts are
/// taken from the rows at once, for whoever looks before that pass.
pub async fn recount_batch(
    connection: &mut MySqlConnection,
    id: Uuid,
    (batch_no, batch): (u32, &LockedBatch),
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE batches b JOIN (
           SELECT SUM(status = 'PENDING') AS pending, SUM(status = 'SENDING') AS sending, SUM(status = 'UNCERTAIN') AS uncertain,
             SUM(status = 'ACCEPTD') AS acceptd, SUM(status = 'ENROUTE') AS enroute, SUM(status = 'DELIVRD') AS delivrd,
             SUM(status = 'UNDELIV') AS undeliv, SUM(status = 'EXPIRED') AS expired, SUM(status = 'DELETED') AS deleted,
             SUM(status = 'REJECTD') AS rejectd, SUM(status = 'UNKNOWN') AS unknown, SUM(status = 'CANCELLED') AS cancelled,
             SUM(status = 'SUPPRESSED') AS suppressed
           FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?) c
         SET b.pending = c.pending, b.sending = c.sending, b.uncertain = c.uncertain, b.acceptd = c.acceptd, b.enroute = c.enroute,
           b.delivrd = c.delivrd, b.undeliv = c.undeliv, b.expired = c.expired, b.deleted = c.deleted, b.rejectd = c.rejectd,
           b.unknown = c.unknown, b.cancelled = c.cancelled, b.suppressed = c.suppressed, b.claim_token = NULL,
           b.claimed_until = NULL, b.requeues = 0, b.check_at = LEAST(COALESCE(b.check_at, ?), ?),
           b.sweep_at = LEAST(COALESCE(b.sweep_at, ?), ?)
         WHERE b.schedule_id = ? AND b.batch_no = ?",
        id,
        batch.first_seq,
        batch.last_seq,
        now,
        now,
        now,
        now,
        id,
        batch_no
    );
    done.execute(connection).await.map(drop)
}

/// What is PENDING in a batch is due at once, and planned for `planned_at`, from which lateness counts.
pub async fn send_soon(
    connection: &mut MySqlConnection,
    id: Uuid,
    batch_no: u32,
    (planned_at, now): (DateTime<Utc>, DateTime<Utc>),
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE batches SET send_at = ?, planned_at = ?, sweep_at = ?, tries = 0 WHERE schedule_id = ? AND batch_no = ?",
        now,
        planned_at,
        now,
        id,
        batch_no
    );
    done.execute(connection).await.map(drop)
}

/// Batches of a schedule after number `after` that may hold UNCERTAIN recipients: by their counts, or because somebody has claimed
/// them since these were taken.
pub async fn batches_with_uncertain(
    connection: &mut MySqlConnection,
    id: Uuid,
    after: u32,
) -> sqlx::Result<Vec<u32>> {
    let page = sqlx::query_scalar!(
        "SELECT batch_no FROM batches
         WHERE schedule_id = ? AND batch_no > ? AND (uncertain > 0 OR claim_token IS NOT NULL) ORDER BY batch_no LIMIT 1000",
        id,
        after
    );
    page.fetch_all(connection).await
}

/// Number and range of every batch of a schedule, in order.
pub async fn batch_ranges(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Vec<(u32, u32, u32)>> {
    let ranges = sqlx::query!(
        "SELECT batch_no, first_seq, last_seq FROM batches WHERE schedule_id = ? ORDER BY schedule_id, batch_no",
        id
    );
    let ranges = ranges.fetch_all(connection).await?;
    Ok(ranges
        .iter()
        .map(|range| (range.batch_no, range.first_seq, range.last_seq))
        .collect())
}

/// Which of these places there are in a schedule.
pub async fn find_seqs(
    connection: &mut MySqlConnection,
    id: Uuid,
    seqs: &[u32],
) -> sqlx::Result<Vec<u32>> {
    let found = sqlx::query_scalar!(
        "SELECT r.seq FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$')) j
           STRAIGHT_JOIN recipients r ON r.schedule_id = ? AND r.seq = j.seq",
        serde_json::json!(seqs).to_string(),
        id
    );
    found.fetch_all(connection).await
}

/// The places of those of these numbers that a schedule has.
pub async fn find_phones(
    connection: &mut MySqlConnection,
    id: Uuid,
    phones: &[String],
) -> sqlx::Result<Vec<u32>> {
    let found = sqlx::query_scalar!(
        // Compared as it is, in utf8mb4, the key would not be used.
        "SELECT r.seq FROM JSON_TABLE(?, '$[*]' COLUMNS (phone VARCHAR(16) PATH '$')) j
           STRAIGHT_JOIN recipients r ON r.phone = CONVERT(j.phone USING ascii) AND r.schedule_id = ?",
        serde_json::json!(phones).to_string(),
        id
    );
    found.fetch_all(connection).await
}
