//! `batches`: claiming one, reading what it needs, releasing it.
//!
//! A claim is a conditional UPDATE with a fresh token and a lease; one of two workers gets it, the other finds 0 rows and goes
//! on. A release recounts from the rows, so that whatever happened to them meanwhile is in it.

use chrono::{DateTime, Utc};
use sqlx::{MySqlConnection, types::Uuid};

use super::Db;
use crate::{
    patience::{AFTER_LEASE, CLAIM_EARLY, MAX_CRASHES},
    queue::BatchMessage,
};

/// The right to work on one batch until its lease ends.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Which batch.
    pub batch: BatchMessage,
    /// Fresh for every claim.
    pub token: Uuid,
    /// When it was asked for, on the database's clock.
    pub at: DateTime<Utc>,
    /// End of the lease.
    pub until: DateTime<Utc>,
}

impl Claim {
    /// A claim to be made, with a fresh token.
    pub fn new(batch: BatchMessage, at: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        Self {
            batch,
            token: Uuid::new_v4(),
            at,
            until,
        }
    }
}

/// A claimed batch and what its schedule says.
#[derive(Clone, Debug)]
pub struct ClaimedBatch {
    /// First `recipients.seq`.
    pub first_seq: u32,
    /// Last `recipients.seq`.
    pub last_seq: u32,
    /// Lateness and the time for resends count from here.
    pub planned_at: DateTime<Utc>,
    /// When something is to be sent.
    pub send_at: Option<DateTime<Utc>>,
    /// When something is to be asked.
    pub check_at: Option<DateTime<Utc>>,
    /// Send passes in a row without an acceptance, this one included.
    pub tries: u32,
    /// Send passes with a request that the carrier refused.
    pub refusals: u32,
    /// Recheck passes since the last send, this one included.
    pub checks: u32,
    /// How often the sweep has enqueued what this pass does not do.
    pub requeues: u32,
    /// What was never sent is held: it was found too late, and a person has not decided yet.
    pub missed: bool,
    /// `schedules.status`
    pub schedule_status: String,
    /// The text.
    pub message: String,
    /// Parts that a copy of it takes.
    pub parts: u16,
    /// Sender address.
    pub sender: Option<String>,
    /// Messages a second.
    pub rate: Option<u32>,
    /// `schedules.send_window`
    pub send_window: Option<String>,
    /// `schedules.max_lateness_s`
    pub max_lateness_s: u32,
    /// `schedules.max_resends`
    pub max_resends: u32,
    /// `schedules.resend_within_s`
    pub resend_within_s: u32,
    /// `hold` or `resend`
    pub on_uncertain: String,
    /// A webhook wants to know of messages that have ended.
    pub told: bool,
}

/// Claims a batch that has something to send; false: done, owned by another, paused, parked, or not due.
pub async fn claim_to_send(db: &Db, claim: &Claim) -> sqlx::Result<bool> {
    let BatchMessage {
        schedule_id,
        batch_no,
    } = claim.batch;
    let done = sqlx::query!(
        "UPDATE batches b JOIN schedules s ON s.id = b.schedule_id
         SET b.crashes = b.crashes + 1, b.tries = b.tries + 1, b.claim_token = ?, b.claimed_until = ?, b.sweep_at = ?,
           b.requeues = IF(b.check_at IS NULL, 0, b.requeues)
         WHERE b.schedule_id = ? AND b.batch_no = ? AND b.send_at <= ?
           AND (b.claim_token IS NULL OR b.claimed_until < ?) AND b.crashes < ?
           AND s.status IN ('running', 'cancelled')",
        claim.token,
        claim.until,
        claim.until + AFTER_LEASE,
        schedule_id,
        batch_no,
        claim.at + CLAIM_EARLY,
        claim.at,
        MAX_CRASHES
    );
    Ok(done.execute(&db.pool).await?.rows_affected() == 1)
}

/// Claims a batch that has something to ask, whatever its schedule's status: rechecks go on during a pause and after a cancel.
pub async fn claim_to_check(db: &Db, claim: &Claim) -> sqlx::Result<bool> {
    let BatchMessage {
        schedule_id,
        batch_no,
    } = claim.batch;
    let done = sqlx::query!(
        // The due check keeps a duplicate of a recheck message from starting a chain of its own.
        "UPDATE batches SET crashes = crashes + 1, checks = checks + 1, claim_token = ?, claimed_until = ?, sweep_at = ?,
           requeues = IF(send_at IS NULL, 0, requeues)
         WHERE schedule_id = ? AND batch_no = ? AND check_at <= ? AND (claim_token IS NULL OR claimed_until < ?) AND crashes < ?",
        claim.token,
        claim.until,
        claim.until + AFTER_LEASE,
        schedule_id,
        batch_no,
        claim.at + CLAIM_EARLY,
        claim.at,
        MAX_CRASHES
    );
    Ok(done.execute(&db.pool).await?.rows_affected() == 1)
}

/// What a worker needs to know of the batch that it has just claimed; `None` when the claim is somebody else's by now.
pub async fn read_claimed(db: &Db, claim: &Claim) -> sqlx::Result<Option<ClaimedBatch>> {
    sqlx::query_as!(
        ClaimedBatch,
        r#"SELECT b.first_seq, b.last_seq, b.planned_at AS "planned_at: DateTime<Utc>", b.send_at AS "send_at: DateTime<Utc>",
             b.check_at AS "check_at: DateTime<Utc>", b.tries, b.refusals, b.checks, b.requeues,
             b.missed_at IS NOT NULL AS "missed!: bool", s.status AS schedule_status, s.message, s.parts, s.sender, s.rate, s.send_window,
             s.max_lateness_s, s.max_resends, s.resend_within_s, s.on_uncertain,
             EXISTS (SELECT 1 FROM webhooks w WHERE w.disabled_at IS NULL AND FIND_IN_SET('messages.final', w.events) > 0) AS "told!: bool"
           FROM batches b JOIN schedules s ON s.id = b.schedule_id
           WHERE b.schedule_id = ? AND b.batch_no = ? AND b.claim_token = ?"#,
        claim.batch.schedule_id,
        claim.batch.batch_no,
        claim.token
    )
    .fetch_optional(&db.pool)
    .await
}

/// What a release needs to know; the rest it counts.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// `schedules.max_resends`, or 0 when nothing may be sent again (not running, or too late).
    pub max_resends: u32,
    /// UNCERTAIN rows may be sent again: the policy says so, and the carrier can't be asked.
    pub resend_uncertain: bool,
    /// UNCERTAIN rows can be asked by an id of ours, if sent after this.
    pub ask_uncertain_since: Option<DateTime<Utc>>,
    /// Due time of what is to be sent, if the rows say that there is something.
    pub send_at: DateTime<Utc>,
    /// Likewise of what is to be asked.
    pub check_at: DateTime<Utc>,
    /// When the sweep takes it up if the send message is lost.
    pub sweep_send_at: DateTime<Utc>,
    /// Likewise for the recheck message.
    pub sweep_check_at: DateTime<Utc>,
    /// The carrier took something: the back-off starts anew, and so do the delays of the rechecks.
    pub accepted: bool,
    /// The carrier refused a request.
    pub refused: bool,
}

/// Gives the batch back: dues and counts come from the rows, in the statement. False: somebody else's now. What it does not send again
/// `events::tell_final` tells as final, in one transaction with it; the condition is the same there.
pub async fn release(
    db: &mut MySqlConnection,
    claim: &Claim,
    range: (u32, u32),
    release: &Release,
) -> sqlx::Result<bool> {
    let BatchMessage {
        schedule_id,
        batch_no,
    } = claim.batch;
    let done = sqlx::query!(
        // Who has opted out meanwhile gets nothing again. A row still SENDING keeps check_at set: the next claim makes it UNCERTAIN. Whether what is PENDING is held is read here, not
        // remembered: a person may have decided meanwhile.
        "UPDATE batches b JOIN (
           SELECT SUM(resends < ? AND (status IN ('UNDELIV', 'EXPIRED') OR (status = 'UNCERTAIN' AND ?))
               AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.phone = recipients.phone)) AS again,
             SUM(status IN ('SENDING', 'ACCEPTD', 'ENROUTE') OR (status = 'UNCERTAIN' AND sent_at > ?)) AS askable,
             SUM(status = 'PENDING') AS pending, SUM(status = 'SENDING') AS sending, SUM(status = 'UNCERTAIN') AS uncertain,
             SUM(status = 'ACCEPTD') AS acceptd, SUM(status = 'ENROUTE') AS enroute, SUM(status = 'DELIVRD') AS delivrd,
             SUM(status = 'UNDELIV') AS undeliv, SUM(status = 'EXPIRED') AS expired, SUM(status = 'DELETED') AS deleted,
             SUM(status = 'REJECTD') AS rejectd, SUM(status = 'UNKNOWN') AS unknown, SUM(status = 'CANCELLED') AS cancelled,
             SUM(status = 'SUPPRESSED') AS suppressed
           FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?) c
         SET b.claim_token = NULL, b.claimed_until = NULL, b.crashes = 0, b.tries = IF(?, 0, b.tries), b.refusals = b.refusals + ?,
           b.checks = IF(?, 0, b.checks), b.pending = c.pending, b.sending = c.sending, b.uncertain = c.uncertain,
           b.acceptd = c.acceptd, b.enroute = c.enroute, b.delivrd = c.delivrd, b.undeliv = c.undeliv, b.expired = c.expired,
           b.deleted = c.deleted, b.rejectd = c.rejectd, b.unknown = c.unknown, b.cancelled = c.cancelled, b.suppressed = c.suppressed,
           b.send_at = IF((c.pending > 0 AND b.missed_at IS NULL) OR c.again > 0, ?, NULL), b.check_at = IF(c.askable > 0, ?, NULL),
           b.sweep_at = NULLIF(LEAST(IF((c.pending > 0 AND b.missed_at IS NULL) OR c.again > 0, ?, '9999-12-31'), IF(c.askable > 0, ?, '9999-12-31')), '9999-12-31')
         WHERE b.schedule_id = ? AND b.batch_no = ? AND b.claim_token = ?",
        release.max_resends,
        release.resend_uncertain,
        release.ask_uncertain_since.unwrap_or(DateTime::<Utc>::MAX_UTC.min(far_future())),
        schedule_id,
        range.0,
        range.1,
        release.accepted,
        u32::from(release.refused),
        release.accepted,
        release.send_at,
        release.check_at,
        release.sweep_send_at,
        release.sweep_check_at,
        schedule_id,
        batch_no,
        claim.token
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Later than any message was sent: no UNCERTAIN row can be asked.
fn far_future() -> DateTime<Utc> {
    DateTime::from_timestamp(253_370_764_800, 0).unwrap_or(DateTime::<Utc>::MAX_UTC) // 9999-01-01
}

/// When a batch is to be sent and to be asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dues {
    /// When something is to be sent.
    pub send_at: Option<DateTime<Utc>>,
    /// When something is to be asked.
    pub check_at: Option<DateTime<Utc>>,
    /// A batch of the schedule has something to do, this one or another. Of two last ones that are released at once, the one that looks
    /// later sees both.
    pub schedule_open: bool,
}

/// What the release has set. Read after it has committed.
pub async fn read_dues(db: &Db, batch: BatchMessage) -> sqlx::Result<Option<Dues>> {
    sqlx::query_as!(
        Dues,
        r#"SELECT b.send_at AS "send_at: DateTime<Utc>", b.check_at AS "check_at: DateTime<Utc>",
             EXISTS (SELECT 1 FROM batches o WHERE o.schedule_id = b.schedule_id AND o.sweep_at IS NOT NULL) AS "schedule_open!: bool"
           FROM batches b WHERE b.schedule_id = ? AND b.batch_no = ?"#,
        batch.schedule_id,
        batch.batch_no
    )
    .fetch_optional(&db.pool)
    .await
}

/// Holds what a batch has not sent, as it was found too late: it stays PENDING until a person says. False: the claim is lost, or the
/// schedule not running any more, so that cancelling and holding never cross.
pub async fn hold_missed(db: &Db, claim: &Claim, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE batches b JOIN schedules s ON s.id = b.schedule_id SET b.missed_at = ?
         WHERE b.schedule_id = ? AND b.batch_no = ? AND b.claim_token = ? AND s.status = 'running'",
        now,
        claim.batch.schedule_id,
        claim.batch.batch_no,
        claim.token
    );
    Ok(done.execute(&db.pool).await?.rows_affected() == 1)
}

/// Moves the planned time of a batch to when its schedule's window opens next: lateness counts from there. Should the claim be lost, it is
/// another's to do.
pub async fn put_off(db: &Db, claim: &Claim, at: DateTime<Utc>) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE batches SET planned_at = ? WHERE schedule_id = ? AND batch_no = ? AND claim_token = ? AND planned_at < ?",
        at,
        claim.batch.schedule_id,
        claim.batch.batch_no,
        claim.token,
        at
    );
    done.execute(&db.pool).await.map(drop)
}

/// Finishes a running schedule that has no batch left with something to do; where a batch is held, it ends `missed`. A statement of
/// its own, after the release has committed: two last batches that each looked inside their own transactions would finish nobody.
pub async fn finish_schedule(
    db: &mut MySqlConnection,
    schedule_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE schedules s LEFT JOIN batches b ON b.schedule_id = s.id AND b.sweep_at IS NOT NULL
         SET s.status = IF(EXISTS (SELECT 1 FROM batches m WHERE m.schedule_id = s.id AND m.missed_at IS NOT NULL), 'missed', 'finished'),
           s.finished_at = IF(EXISTS (SELECT 1 FROM batches m WHERE m.schedule_id = s.id AND m.missed_at IS NOT NULL), NULL, ?)
         WHERE s.id = ? AND s.status = 'running' AND s.batch_count IS NOT NULL AND b.schedule_id IS NULL",
        now,
        schedule_id
    );
    Ok(done.execute(db).await?.rows_affected() > 0)
}

/// Pauses a running schedule on the system's own account, such as when the carrier refuses our credentials.
pub async fn pause_schedule(
    db: &mut MySqlConnection,
    schedule_id: Uuid,
    reason: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'paused', paused_at = ?, pause_reason = ? WHERE id = ? AND status = 'running'",
        now,
        reason,
        schedule_id
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}
