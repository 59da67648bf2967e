//! The statements with which workers write `recipients`: marks, answers and status updates, each
//! for a whole batch in one statement, and the earlier attempts in `attempts`.
//!
//! *Marking* a row SENDING requires the claim's token, a running schedule and the attempt, in one
//! statement. *Recording* an answer requires only the attempt: an answer is a fact even if the
//! lease has expired. Each mark raises the attempt, so no two HTTP requests share one. *Undoing* a
//! mark whose request was never started requires the attempt and the time of the mark.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{MySqlConnection, types::Uuid};

use crate::{
    batch::{SeqRange, claim::Claim},
    message::status::Status,
    platform::{
        db::{Db, json::to_json},
        queue::BatchMessage,
    },
    schedule::lifecycle::reopen_schedule,
};

/// A recipient that is not done, or that may be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRow {
    /// The position in the recipient list.
    pub seq: u32,
    /// The phone number in E.164, with the plus sign.
    pub phone: String,
    /// The delivery status.
    pub status: Status,
    /// Attempts so far.
    pub attempt: u32,
    /// Resends so far.
    pub resends: u32,
    /// The carrier's ids, joined by commas.
    pub message_id: Option<String>,
    /// The last status as the carrier named it.
    pub carrier_status: Option<String>,
    /// When this attempt was marked.
    pub sent_at: Option<DateTime<Utc>>,
    /// When the message ended UNDELIV or EXPIRED.
    pub final_at: Option<DateTime<Utc>>,
    /// The number is suppressed; false if that was not asked for.
    pub suppressed: bool,
}

impl BatchRow {
    /// Returns the id that we choose for the message of this attempt, if the carrier accepts one.
    /// It is known before the request and never used twice. It has at most 47 characters, so that
    /// the ids of ten parts fit into `message_id`.
    pub fn own_id(&self, schedule_id: Uuid) -> String {
        format!("{}-{}-{}", schedule_id.simple(), self.seq, self.attempt)
    }
}

/// The error of a recipient that ended EXPIRED because the end of its schedule came first. It is
/// never sent to again, whatever the policy of resends.
pub const SEND_UNTIL: &str = "send-until";

/// Reads the recipients of a range that are not final, and those that ended UNDELIV or EXPIRED
/// after a request. `to_send`: says which of the numbers are suppressed. A recipient whose number is
/// erased is done.
pub async fn open_rows(
    db: &Db,
    batch: BatchMessage,
    range: SeqRange,
    to_send: bool,
) -> sqlx::Result<Vec<BatchRow>> {
    let rows = sqlx::query!(
        r#"SELECT seq, phone AS "phone!", status, attempt, resends, message_id, carrier_status, sent_at AS "sent_at: DateTime<Utc>",
             final_at AS "final_at: DateTime<Utc>",
             (? AND EXISTS (SELECT 1 FROM suppressions x WHERE x.phone = recipients.phone)) AS "suppressed!: bool"
           FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?
             AND status IN ('PENDING', 'SENDING', 'UNCERTAIN', 'ACCEPTD', 'ENROUTE', 'UNDELIV', 'EXPIRED') AND NOT (error <=> ?) AND phone LIKE '+%'
           ORDER BY seq"#,
        to_send,
        batch.schedule_id,
        range.first,
        range.last,
        SEND_UNTIL
    )
    .fetch_all(db)
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
            suppressed: row.suppressed,
        })
    });
    rows.collect()
}

/// Marks as UNCERTAIN what a crashed owner left SENDING: its request may or may not have arrived.
/// Returns the number of rows.
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
    Ok(done.execute(db).await?.rows_affected())
}

/// Ends the PENDING rows of a cancelled schedule. Returns the number of rows.
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
    Ok(done.execute(db).await?.rows_affected())
}

/// The effect of one row of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "u8")]
pub enum Step {
    /// Records an answer to the attempt.
    Answer,
    /// Marks the row before a request. Requires the token and a running schedule.
    Mark,
    /// Moves a PENDING row to a final status without a request. Requires the token.
    Skip,
    /// Undoes a mark whose request was never started: back to PENDING. Requires the time of the mark,
    /// without which it may be another owner's, and no token: it is a fact, as an answer is.
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
    /// The attempt that the row must have; for a mark, the attempt before it.
    #[serde(rename = "a")]
    pub attempt: u32,
    /// The effect.
    #[serde(rename = "k")]
    pub step: Step,
    /// 1: this mark is a resend.
    #[serde(rename = "r")]
    pub resend: u8,
    /// The new status.
    #[serde(rename = "s")]
    pub status: Status,
    /// The carrier's ids.
    #[serde(rename = "m")]
    pub message_id: Option<String>,
    /// The reason, if the request failed.
    #[serde(rename = "e")]
    pub error: Option<String>,
    /// 1: the status is final.
    #[serde(rename = "f")]
    pub is_final: u8,
}

/// The times of a flush.
#[derive(Clone, Copy, Debug)]
pub struct FlushTimes {
    /// `sent_at` of the rows that it marks, and of those whose mark it undoes. The same for all tries
    /// of a flush, and of no other flush: with the attempt it identifies a mark.
    pub marked_at: DateTime<Utc>,
    /// The time now.
    pub now: DateTime<Utc>,
}

/// Records the requests that have ended and marks those that start next, in one statement.
///
/// Returns the number of matched rows. If it is less than the number of `rows`, then the claim, the
/// schedule or a row has changed, and no further request may be started.
pub async fn flush(
    db: &mut MySqlConnection,
    claim: &Claim,
    rows: &[FlushRow],
    times: FlushTimes,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$.q', attempt INT UNSIGNED PATH '$.a',
             step INT PATH '$.k', resend INT UNSIGNED PATH '$.r', status VARCHAR(10) PATH '$.s', id VARCHAR(512) PATH '$.m',
             error VARCHAR(64) PATH '$.e', final INT PATH '$.f')) j
           JOIN batches b ON b.schedule_id = r.schedule_id AND b.batch_no = ? JOIN schedules s ON s.id = b.schedule_id
         SET r.resends = r.resends + j.resend, r.attempt = r.attempt + (j.step = 1), r.sent_at = IF(j.step = 1, ?, r.sent_at),
           r.id_start = LEFT(j.id, 44), r.id_rest = NULLIF(SUBSTRING(j.id, 45), ''), r.error = j.error, r.final_at = IF(j.final = 1, ?, NULL), r.status = j.status,
           r.carrier_status = IF(j.step = 1, NULL, r.carrier_status)
         WHERE r.schedule_id = ? AND r.seq = j.seq AND r.attempt = j.attempt
           AND ((j.step = 1 AND b.claim_token = ? AND s.status = 'running' AND r.status IN ('PENDING', 'UNDELIV', 'EXPIRED', 'UNCERTAIN'))
             OR (j.step = 2 AND b.claim_token = ? AND r.status = 'PENDING')
             OR (j.step = 3 AND r.sent_at = ? AND r.status IN ('SENDING', 'UNCERTAIN'))
             OR (j.step = 0 AND r.status IN ('SENDING', 'UNCERTAIN')))",
        to_json(rows)?,
        claim.batch.batch_no,
        times.marked_at,
        times.now,
        claim.batch.schedule_id,
        claim.token,
        claim.token,
        times.marked_at
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Copies to `attempts` the attempts that the marks among `rows` are about to overwrite.
///
/// Its conditions are those of [`flush`], and it must run in the same transaction before it: the
/// rows that it reads stay locked until then.
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

/// Records answers to attempts that were followed by another attempt meanwhile.
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

/// Makes the batch due now if the claim is lost. The first statement of a transaction that records
/// answers.
///
/// If another owner has the batch, or has released it with nothing left to do, the next pass has to
/// count the rows and decide again. Returns whether the claim is lost.
pub async fn make_due_if_lease_lost(
    db: &mut MySqlConnection,
    claim: &Claim,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let BatchMessage {
        schedule_id,
        batch_no,
    } = claim.batch;
    let made_due = sqlx::query!(
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
    if made_due.execute(&mut *db).await?.rows_affected() == 0 {
        return Ok(false);
    }
    reopen_schedule(db, schedule_id).await.map(|()| true)
}

/// A status that the carrier reported for one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusUpdate {
    /// `recipients.seq`
    #[serde(rename = "q")]
    pub seq: u32,
    /// The attempt that the carrier was asked about.
    #[serde(rename = "a")]
    pub attempt: u32,
    /// The new status. PENDING: the message never reached the carrier.
    #[serde(rename = "s")]
    pub status: Status,
    /// The status as the carrier named it.
    #[serde(rename = "w")]
    pub carrier_status: Option<String>,
    /// The id by which the carrier was asked, for a row without one.
    #[serde(rename = "m")]
    pub message_id: Option<String>,
    /// 1: the status is final.
    #[serde(rename = "f")]
    pub is_final: u8,
}

/// Records status updates. Returns the number of matched rows.
///
/// They are facts, so they require only the attempt; "never arrived" (PENDING) requires the token
/// too. The statement follows [`make_due_if_lease_lost`] in one transaction: an update that arrives
/// after the lease may be one after which a message is sent again.
pub async fn record_status_updates(
    db: &mut MySqlConnection,
    claim: &Claim,
    updates: &[StatusUpdate],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$.q', attempt INT UNSIGNED PATH '$.a',
             status VARCHAR(10) PATH '$.s', word VARCHAR(32) PATH '$.w', id VARCHAR(512) PATH '$.m', final INT PATH '$.f')) j
           JOIN batches b ON b.schedule_id = r.schedule_id AND b.batch_no = ?
         SET r.carrier_status = j.word, r.id_start = COALESCE(r.id_start, LEFT(j.id, 44)),
           r.id_rest = COALESCE(r.id_rest, IF(r.id_start IS NULL OR r.id_start = LEFT(j.id, 44), NULLIF(SUBSTRING(j.id, 45), ''), NULL)), r.error = NULL,
           r.final_at = IF(j.final = 1, ?, NULL), r.status = j.status
         WHERE r.schedule_id = ? AND r.seq = j.seq AND r.attempt = j.attempt AND r.status IN ('ACCEPTD', 'ENROUTE', 'UNCERTAIN')
           AND (j.status <> 'PENDING' OR (r.status = 'UNCERTAIN' AND b.claim_token = ?))",
        to_json(updates)?,
        claim.batch.batch_no,
        now,
        claim.batch.schedule_id,
        claim.token
    );
    Ok(done.execute(db).await?.rows_affected())
}
