//! The statement of a release, and the read of the due times that it has set.

use chrono::{DateTime, Utc};
use sqlx::mysql::MySqlExecutor;

use super::PassResult;
use crate::{
    batch::{SeqRange, admission::never, claim::Claim, rows::SEND_UNTIL},
    platform::{db::Db, queue::BatchMessage},
};

/// The values that a release writes; it counts the rest from the rows.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// `schedules.max_resends`, or 0 if nothing may be sent again (not running, or too late).
    pub max_resends: u32,
    /// UNCERTAIN rows may be sent again: the policy is to resend, and the carrier cannot be asked.
    pub resend_uncertain: bool,
    /// The carrier can be asked about UNCERTAIN rows that were sent after this time, by an id that
    /// we chose; `None`: it cannot.
    pub ask_uncertain_since: Option<DateTime<Utc>>,
    /// The due time of the next send, if a row has something to send.
    pub send_at: DateTime<Utc>,
    /// The due time of the next recheck, if a row has a status to ask for.
    pub check_at: DateTime<Utc>,
    /// When the sweep takes the batch up if the send message is lost.
    pub sweep_send_at: DateTime<Utc>,
    /// When the sweep takes the batch up if the recheck message is lost.
    pub sweep_check_at: DateTime<Utc>,
    /// How the pass ended. After an acceptance the back-off, the count of refusals and the delays
    /// of the rechecks start anew; a pass that only waited for its turn does not count as a try.
    pub result: PassResult,
}

/// Releases a batch; due times and counts come from the rows, in the statement. Returns false if
/// another worker owns the batch.
///
/// The messages that it does not send again are published as final by
/// `final_events::record_final_events`, in the same transaction and under the same condition.
pub async fn write_release(
    db: impl MySqlExecutor<'_>,
    claim: &Claim,
    range: SeqRange,
    release: &Release,
) -> sqlx::Result<bool> {
    let BatchMessage {
        schedule_id,
        batch_no,
    } = claim.batch;
    let (accepted, waits) = (release.result.accepted(), release.result.waits());
    let done = sqlx::query!(
        // `waiting` is read only where the statement keeps it: in a joined UPDATE, the order of the
        // assignments is not guaranteed.
        //
        // A number that was suppressed meanwhile is not sent again, and neither is one that the end
        // of the schedule has closed. A resend that was not accepted yet is not held. A row that is
        // still SENDING keeps check_at set: the next claim makes it UNCERTAIN. Whether PENDING rows
        // are held is read here, not remembered: an operator may have decided meanwhile.
        "UPDATE batches b JOIN (
           SELECT SUM((status = 'PENDING' AND resends > 0)
               OR (resends < ? AND (status IN ('UNDELIV', 'EXPIRED') OR (status = 'UNCERTAIN' AND ?)) AND NOT (error <=> ?)
                 AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.phone = recipients.phone))) AS again,
             SUM(status IN ('SENDING', 'ACCEPTD', 'ENROUTE') OR (status = 'UNCERTAIN' AND sent_at > ?)) AS askable,
             SUM(status = 'PENDING') AS pending, SUM(status = 'SENDING') AS sending, SUM(status = 'UNCERTAIN') AS uncertain,
             SUM(status = 'ACCEPTD') AS acceptd, SUM(status = 'ENROUTE') AS enroute, SUM(status = 'DELIVRD') AS delivrd,
             SUM(status = 'UNDELIV') AS undeliv, SUM(status = 'EXPIRED') AS expired, SUM(status = 'DELETED') AS deleted,
             SUM(status = 'REJECTD') AS rejectd, SUM(status = 'UNKNOWN') AS unknown, SUM(status = 'CANCELLED') AS cancelled,
             SUM(status = 'SUPPRESSED') AS suppressed
           FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?) c
         SET b.claim_token = NULL, b.claimed_until = NULL, b.crashes = 0, b.tries = IF(?, 0, b.tries), b.refusals = IF(?, 0, b.refusals + ?),
           b.checks = IF(?, 0, b.checks), b.pending = c.pending, b.sending = c.sending, b.uncertain = c.uncertain,
           b.acceptd = c.acceptd, b.enroute = c.enroute, b.delivrd = c.delivrd, b.undeliv = c.undeliv, b.expired = c.expired,
           b.deleted = c.deleted, b.rejectd = c.rejectd, b.unknown = c.unknown, b.cancelled = c.cancelled, b.suppressed = c.suppressed,
           b.waiting = (c.pending > 0 AND b.missed_at IS NULL AND COALESCE(?, b.waiting)),
           b.send_at = IF((c.pending > 0 AND b.missed_at IS NULL) OR c.again > 0, ?, NULL), b.check_at = IF(c.askable > 0, ?, NULL),
           b.sweep_at = NULLIF(LEAST(IF(c.pending > 0 AND b.missed_at IS NULL AND COALESCE(?, b.waiting), '9999-01-01',
               IF((c.pending > 0 AND b.missed_at IS NULL) OR c.again > 0, ?, '9999-12-31')),
             IF(c.askable > 0, ?, '9999-12-31')), '9999-12-31')
         WHERE b.schedule_id = ? AND b.batch_no = ? AND b.claim_token = ?",
        release.max_resends,
        release.resend_uncertain,
        SEND_UNTIL,
        // After this time no message was sent, so that no UNCERTAIN row matches.
        release.ask_uncertain_since.unwrap_or(never()),
        schedule_id,
        range.first,
        range.last,
        accepted || release.result.back_to_waiting(),
        accepted,
        u32::from(release.result.refused()),
        accepted,
        waits,
        release.send_at,
        release.check_at,
        waits,
        release.sweep_send_at,
        release.sweep_check_at,
        schedule_id,
        batch_no,
        claim.token
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// The due times of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueTimes {
    /// When a message is due to be sent.
    pub send_at: Option<DateTime<Utc>>,
    /// When a status is due to be asked for.
    pub check_at: Option<DateTime<Utc>>,
    /// The unsent messages of the batch wait for their turn: no queue message names the batch.
    pub waiting: bool,
    /// Messages that were never accepted; without them `send_at` is the time of a resend.
    pub pending: u32,
    /// A batch of the schedule has something to do, this one or another. If the last two batches
    /// are released at the same time, the later read sees both.
    pub schedule_open: bool,
}

/// Reads the due times that a release has set, after its commit.
pub async fn read_due_times(db: &Db, batch: BatchMessage) -> sqlx::Result<Option<DueTimes>> {
    sqlx::query_as!(
        DueTimes,
        r#"SELECT b.send_at AS "send_at: DateTime<Utc>", b.check_at AS "check_at: DateTime<Utc>",
             b.waiting AS "waiting: bool", b.pending, EXISTS (SELECT 1 FROM batches o WHERE o.schedule_id = b.schedule_id AND o.sweep_at IS NOT NULL) AS "schedule_open!: bool"
           FROM batches b WHERE b.schedule_id = ? AND b.batch_no = ?"#,
        batch.schedule_id,
        batch.batch_no
    )
    .fetch_optional(db)
    .await
}
