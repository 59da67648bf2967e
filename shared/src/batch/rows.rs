//! `recipients` as the workers write them: marks, answers and verdicts, each for a whole batch in one statement, and the earlier
//! attempts in `attempts`.
//!
//! *Marking* a row SENDING needs the claim's token, a running schedule and the attempt, in one statement. *Recording* an answer
//! needs the attempt alone: an answer is a fact even when the lease has run out. Every mark raises the attempt, so no two
//! HTTP requests share one.

use crate::platform::db::json::to_json;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{MySqlConnection, types::Uuid};

use crate::{
    batch::{SeqRange, claim::Claim},
    platform::db::Db,
    schedule::lifecycle::reopen_schedule,
};
use crate::{message::status::Status, platform::queue::BatchMessage};

/// A recipient with something left to do, or that may be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRow {
    /// Place in the list.
    pub seq: u32,
    /// E.164 with the plus sign.
    pub phone: String,
    /// Its state.
    pub status: Status,
    /// Attempts so far.
    pub attempt: u32,
    /// Resends so far.
    pub resends: u32,
    /// The carrier's ids, joined by commas.
    pub message_id: Option<String>,
    /// Last status in the carrier's own words.
    pub carrier_status: Option<String>,
    /// When this attempt was marked.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it ended UNDELIV or EXPIRED.
    pub final_at: Option<DateTime<Utc>>,
}

impl BatchRow {
    /// The id that we give this attempt's message where the carrier takes one: known before the request, and never used twice.
    /// At most 47 characters, so that the ids of ten parts fit into `message_id`.
    pub fn own_id(&self, schedule_id: Uuid) -> String {
        format!("{}-{}-{}", schedule_id.simple(), self.seq, self.attempt)
    }
}

/// The recipients of a range that are not at rest: everything not final, and what ended UNDELIV or EXPIRED.
pub async fn open_rows(
    db: &Db,
    batch: BatchMessage,
    range: SeqRange,
) -> sqlx::Result<Vec<BatchRow>> {
    let rows = sqlx::query!(
        r#"SELECT seq, phone AS "phone!", status, attempt, resends, message_id, carrier_status, sent_at AS "sent_at: DateTime<Utc>",
             final_at AS "final_at: DateTime<Utc>"
           FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?
             AND status IN ('PENDING', 'SENDING', 'UNCERTAIN', 'ACCEPTD', 'ENROUTE', 'UNDELIV', 'EXPIRED')
           ORDER BY seq"#,
        batch.schedule_id,
        range.first,
        range.last
    )
    .fetch_all(&db.pool)
    .await?;
    let rows = rows.into_iter().map(|row| {
        let status = Status::parse(&row.status)
            .ok_or_else(|| sqlx::Error::Decode(format!("no status {}", row.status).into()))?;
        Ok(BatchRow {
            seq: row.seq,
            phone: row.phone,
            status,
            attempt: row.attempt,
            resends: row.resends,
            message_id: row.message_id,
            carrier_status: row.carrier_status,
            sent_at: row.sent_at,
            final_at: row.final_at,
        })
    });
    rows.collect()
}

/// What a dead owner left SENDING becomes UNCERTAIN: its request may or may not have arrived.
pub async fn mark_owner_lost(db: &Db, claim: &Claim, range: SeqRange) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN batches b ON b.schedule_id = r.schedule_id AND b.batch_no = ?
         SET r.status = 'UNCERTAIN', r.error = 'owner lost'
         WHERE r.schedule_id = ? AND r.seq BETWEEN ? AND ? AND r.status = 'SENDING' AND b.claim_token = ?",
        claim.batch.batch_no,
        claim.batch.schedule_id,
        range.first,
        range.last,
        claim.token
    );
    Ok(done.execute(&db.pool).await?.rows_affected())
}

/// Ends what was not sent, the schedule having been cancelled.
pub async fn close_pending(
    db: &Db,
    claim: &Claim,
    range: SeqRange,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN batches b ON b.schedule_id = r.schedule_id AND b.batch_no = ?
         SET r.status = 'CANCELLED', r.error = NULL, r.final_at = ?
         WHERE r.schedule_id = ? AND r.seq BETWEEN ? AND ? AND r.status = 'PENDING' AND b.claim_token = ?",
        claim.batch.batch_no,
        now,
        claim.batch.schedule_id,
        range.first,
        range.last,
        claim.token
    );
    Ok(done.execute(&db.pool).await?.rows_affected())
}

/// What one row of a flush does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "u8")]
pub enum Step {
    /// An answer to the attempt.
    Answer,
    /// The mark before a request: needs the token and a running schedule.
    Mark,
    /// PENDING to a final state without a request: needs the token.
    Skip,
    /// A mark whose request was never started: back to PENDING. Needs the token, without which the mark may be another's.
    Unmark,
}

impl From<Step> for u8 {
    fn from(step: Step) -> Self {
        match step {
            Step::Answer => 0,
            Step::Mark => 1,
            Step::Skip => 2,
            Step::Unmark => 3,
        }
    }
}

/// One row of a flush.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlushRow {
    /// `recipients.seq`
    #[serde(rename = "q")]
    pub seq: u32,
    /// The attempt that the row has to have: for a mark the one before it.
    #[serde(rename = "a")]
    pub attempt: u32,
    /// What is done.
    #[serde(rename = "k")]
    pub step: Step,
    /// 1: this mark sends again what had been sent.
    #[serde(rename = "r")]
    pub resend: u8,
    /// The new state.
    #[serde(rename = "s")]
    pub status: Status,
    /// The carrier's ids.
    #[serde(rename = "m")]
    pub message_id: Option<String>,
    /// Why.
    #[serde(rename = "e")]
    pub error: Option<String>,
    /// 1: the state is final.
    #[serde(rename = "f")]
    pub is_final: u8,
}

/// Records what has ended and marks what starts next, in one statement. Returns how many rows matched: fewer than given means
/// that the claim, the schedule or a row is not as the owner thinks, and that nothing more may be started.
pub async fn flush(
    db: &mut MySqlConnection,
    claim: &Claim,
    rows: &[FlushRow],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$.q', attempt INT UNSIGNED PATH '$.a',
             step INT PATH '$.k', resend INT UNSIGNED PATH '$.r', status VARCHAR(10) PATH '$.s', id VARCHAR(512) PATH '$.m',
             error VARCHAR(64) PATH '$.e', final INT PATH '$.f')) j
           JOIN batches b ON b.schedule_id = r.schedule_id AND b.batch_no = ? JOIN schedules s ON s.id = b.schedule_id
         SET r.resends = r.resends + j.resend, r.attempt = r.attempt + (j.step = 1), r.sent_at = IF(j.step = 1, ?, r.sent_at),
           r.message_id = j.id, r.error = j.error, r.final_at = IF(j.final = 1, ?, NULL), r.status = j.status,
           r.carrier_status = IF(j.step = 1, NULL, r.carrier_status)
         WHERE r.schedule_id = ? AND r.seq = j.seq AND r.attempt = j.attempt
           AND ((j.step = 1 AND b.claim_token = ? AND s.status = 'running' AND r.status IN ('PENDING', 'UNDELIV', 'EXPIRED', 'UNCERTAIN'))
             OR (j.step = 2 AND b.claim_token = ? AND r.status = 'PENDING')
             OR (j.step = 3 AND b.claim_token = ? AND r.status = 'SENDING')
             OR (j.step = 0 AND r.status IN ('SENDING', 'UNCERTAIN')))",
        to_json(rows)?,
        claim.batch.batch_no,
        now,
        now,
        claim.batch.schedule_id,
        claim.token,
        claim.token,
        claim.token
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Copies to `attempts` what the marks among `rows` are about to overwrite. Its conditions are the flush's, and it belongs into
/// the same transaction: the rows that it reads stay locked until then.
pub async fn keep_attempts(
    db: &mut MySqlConnection,
    claim: &Claim,
    rows: &[FlushRow],
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO attempts (schedule_id, seq, attempt, status, message_id, carrier_status, error, sent_at, final_at)
         SELECT r.schedule_id, r.seq, r.attempt, r.status, r.message_id, r.carrier_status, r.error, r.sent_at, r.final_at
         FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$.q', attempt INT UNSIGNED PATH '$.a', step INT PATH '$.k')) j
           JOIN recipients r ON r.schedule_id = ? AND r.seq = j.seq AND r.attempt = j.attempt
           JOIN batches b ON b.schedule_id = r.schedule_id AND b.batch_no = ? JOIN schedules s ON s.id = b.schedule_id
         WHERE j.step = 1 AND r.status IN ('UNDELIV', 'EXPIRED', 'UNCERTAIN') AND b.claim_token = ? AND s.status = 'running'",
        to_json(rows)?,
        claim.batch.schedule_id,
        claim.batch.batch_no,
        claim.token
    );
    done.execute(db).await.map(drop)
}

/// Records answers to attempts that have been followed by another meanwhile.
pub async fn record_late_answers(
    db: &mut MySqlConnection,
    batch: BatchMessage,
    rows: &[FlushRow],
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE attempts a JOIN JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$.q', attempt INT UNSIGNED PATH '$.a',
             step INT PATH '$.k', status VARCHAR(10) PATH '$.s', id VARCHAR(512) PATH '$.m')) j
         SET a.status = j.status, a.message_id = j.id
         WHERE a.schedule_id = ? AND a.seq = j.seq AND a.attempt = j.attempt AND j.step = 0 AND a.status = 'UNCERTAIN'
           AND j.id IS NOT NULL",
        to_json(rows)?,
        batch.schedule_id
    );
    done.execute(db).await.map(drop)
}

/// First statement of a transaction that records answers. When the batch is not the claim's any more, the next pass has to count
/// again and decide again: another owner may have released it with nothing left to do. True: the claim is lost.
pub async fn make_due_if_lease_lost(
    db: &mut MySqlConnection,
    claim: &Claim,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let BatchMessage {
        schedule_id,
        batch_no,
    } = claim.batch;
    let poked = sqlx::query!(
        "UPDATE batches SET check_at = LEAST(COALESCE(check_at, ?), ?), sweep_at = LEAST(COALESCE(sweep_at, ?), ?)
         WHERE schedule_id = ? AND batch_no = ? AND (claim_token IS NULL OR claim_token <> ?)",
        now,
        now,
        now,
        now,
        schedule_id,
        batch_no,
        claim.token
    );
    if poked.execute(&mut *db).await?.rows_affected() == 0 {
        return Ok(false);
    }
    reopen_schedule(db, schedule_id).await.map(|()| true)
}

/// What the carrier said of one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusUpdate {
    /// `recipients.seq`
    #[serde(rename = "q")]
    pub seq: u32,
    /// The attempt that was asked about.
    #[serde(rename = "a")]
    pub attempt: u32,
    /// The new state; PENDING: it never arrived.
    #[serde(rename = "s")]
    pub status: Status,
    /// The carrier's own word.
    #[serde(rename = "w")]
    pub carrier_status: Option<String>,
    /// The id it was asked by, for a row that had none.
    #[serde(rename = "m")]
    pub message_id: Option<String>,
    /// 1: the state is final.
    #[serde(rename = "f")]
    pub is_final: u8,
}

/// Records verdicts: facts, so they need the attempt alone; only "never arrived" needs the token too. Behind [`make_due_if_lease_lost`], in one
/// transaction: a verdict that comes after the lease may be one on which something is to be sent again.
pub async fn record_status_updates(
    db: &mut MySqlConnection,
    claim: &Claim,
    verdicts: &[StatusUpdate],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$.q', attempt INT UNSIGNED PATH '$.a',
             status VARCHAR(10) PATH '$.s', word VARCHAR(32) PATH '$.w', id VARCHAR(512) PATH '$.m', final INT PATH '$.f')) j
           JOIN batches b ON b.schedule_id = r.schedule_id AND b.batch_no = ?
         SET r.carrier_status = j.word, r.message_id = COALESCE(r.message_id, j.id), r.error = NULL,
           r.final_at = IF(j.final = 1, ?, NULL), r.status = j.status
         WHERE r.schedule_id = ? AND r.seq = j.seq AND r.attempt = j.attempt AND r.status IN ('ACCEPTD', 'ENROUTE', 'UNCERTAIN')
           AND (j.status <> 'PENDING' OR (r.status = 'UNCERTAIN' AND b.claim_token = ?))",
        to_json(verdicts)?,
        claim.batch.batch_no,
        now,
        claim.batch.schedule_id,
        claim.token
    );
    Ok(done.execute(db).await?.rows_affected())
}
