//! The statement of a release, and the due times that it has set.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;

use crate::{
    batch::{SeqRange, claim::Claim},
    platform::{db::Db, queue::BatchMessage},
};

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
pub async fn write_release(
    db: &mut MySqlConnection,
    claim: &Claim,
    range: SeqRange,
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
        range.first,
        range.last,
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
pub struct DueTimes {
    /// When something is to be sent.
    pub send_at: Option<DateTime<Utc>>,
    /// When something is to be asked.
    pub check_at: Option<DateTime<Utc>>,
    /// A batch of the schedule has something to do, this one or another. Of two last ones that are released at once, the one that looks
    /// later sees both.
    pub schedule_open: bool,
}

/// What the release has set. Read after it has committed.
pub async fn read_due_times(db: &Db, batch: BatchMessage) -> sqlx::Result<Option<DueTimes>> {
    sqlx::query_as!(
        DueTimes,
        r#"SELECT b.send_at AS "send_at: DateTime<Utc>", b.check_at AS "check_at: DateTime<Utc>",
             EXISTS (SELECT 1 FROM batches o WHERE o.schedule_id = b.schedule_id AND o.sweep_at IS NOT NULL) AS "schedule_open!: bool"
           FROM batches b WHERE b.schedule_id = ? AND b.batch_no = ?"#,
        batch.schedule_id,
        batch.batch_no
    )
    .fetch_optional(&db.pool)
    .await
}
