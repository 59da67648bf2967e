//! UNCERTAIN recipients, which an operator resolves: as sent, or to be sent again. One batch per
//! transaction, under the locks of the schedule's row, then the batch's, then the recipients'.
//!
//! An owner that was frozen may still receive an answer. Its statement compares the attempt, and
//! matches no row. Because the claim is removed here, the owner detects that it has lost the batch,
//! and records the answer in `attempts`, where the old attempt is kept.

use std::{collections::HashMap, ops::RangeInclusive};

use chrono::{DateTime, Utc};
use shared::{
    batch::admission::turns::open_turn,
    platform::{backoff::MAX_CRASHES, queue::BatchMessage},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A locked batch.
#[derive(Clone, Copy, Debug)]
pub struct LockedBatch {
    /// First `recipients.seq`.
    pub first_seq: u32,
    /// Last `recipients.seq`.
    pub last_seq: u32,
    /// Its owner's lease has not ended.
    pub owned: bool,
    /// Its PENDING recipients wait for an operator, because they were found too late.
    pub held: bool,
    /// It waits for a retry.
    pub parked: bool,
}

/// Reads a batch, and locks it against claims until the transaction ends.
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
    /// Its place in the list.
    pub seq: u32,
    /// When the request was sent whose answer was lost.
    pub sent_at: DateTime<Utc>,
}

/// Locks and returns the UNCERTAIN recipients of a range.
pub async fn lock_uncertain(
    connection: &mut MySqlConnection,
    id: Uuid,
    seqs: RangeInclusive<u32>,
) -> sqlx::Result<Vec<Uncertain>> {
    sqlx::query_as!(
        Uncertain,
        r#"SELECT seq, sent_at AS "sent_at!: DateTime<Utc>" FROM recipients
           WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND status = 'UNCERTAIN' ORDER BY seq FOR UPDATE"#,
        id,
        seqs.start(),
        seqs.end()
    )
    .fetch_all(connection)
    .await
}

/// Resolves recipients as sent: an operator states that they were accepted. Their delivery will
/// never be known, and they are never sent again.
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

/// Resolves recipients as to be sent again. The attempt is kept in `attempts` as it is; its number
/// stays, and the next mark raises it.
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
         SET r.status = 'PENDING', r.resends = r.resends + 1, r.id_start = NULL, r.id_rest = NULL, r.carrier_status = NULL, r.error = NULL
         WHERE r.schedule_id = ? AND r.seq = j.seq AND r.status = 'UNCERTAIN'",
        json,
        id
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// Makes the next pass count and decide again, as `make_due_if_lease_lost` does, and ends a lease
/// that has expired. The counts are updated from the rows at once, for reads before that pass.
pub async fn recount_batch(
    connection: &mut MySqlConnection,
    id: Uuid,
    batch_no: u32,
    batch: &LockedBatch,
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

/// Makes the PENDING recipients of a batch due when it is their turn, and planned for `planned_at`,
/// from which lateness counts. [`recount_batch`] has set `sweep_at` for the recheck.
pub async fn make_due(
    connection: &mut MySqlConnection,
    batch: BatchMessage,
    planned_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE batches SET send_at = ?, planned_at = ?, waiting = 1, tries = 0 WHERE schedule_id = ? AND batch_no = ?",
        now,
        planned_at,
        batch.schedule_id,
        batch.batch_no
    );
    done.execute(&mut *connection).await?;
    open_turn(connection, batch.schedule_id, now, now).await
}

/// Returns batches of a schedule after a batch number that may contain UNCERTAIN recipients: by
/// their counts, or because a worker has claimed them since they were counted.
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

/// The recipients of a batch.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct BatchRange {
    pub batch_no: u32,
    pub first_seq: u32,
    pub last_seq: u32,
}

/// Returns the number and range of every batch of a schedule, in order.
pub async fn batch_ranges(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Vec<BatchRange>> {
    sqlx::query_as!(
        BatchRange,
        "SELECT batch_no, first_seq, last_seq FROM batches WHERE schedule_id = ? ORDER BY schedule_id, batch_no",
        id
    )
    .fetch_all(connection)
    .await
}

/// Returns those of these places that exist in a schedule.
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

/// Returns the places of those of these numbers that a schedule has. With `unique_by: reference`, a
/// number may have several.
pub async fn places_of(
    connection: &mut MySqlConnection,
    id: Uuid,
    phones: &[String],
) -> sqlx::Result<HashMap<String, Vec<u32>>> {
    let found = sqlx::query!(
        // Compared as it is, in utf8mb4, the key would not be used.
        r#"SELECT r.phone AS "phone!", r.seq FROM JSON_TABLE(?, '$[*]' COLUMNS (phone VARCHAR(16) PATH '$')) j
           STRAIGHT_JOIN recipients r ON r.phone = CONVERT(j.phone USING ascii) AND r.schedule_id = ?"#,
        serde_json::json!(phones).to_string(),
        id
    );
    let mut places: HashMap<String, Vec<u32>> = HashMap::new();
    for row in found.fetch_all(connection).await? {
        places.entry(row.phone).or_default().push(row.seq);
    }
    Ok(places)
}
