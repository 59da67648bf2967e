//! The statements that only send executes. Those on a batch (found too late, while its window is
//! closed, or after its schedule's end) need the claim: a worker that has lost it changes nothing.
//! Those on the schedule's rate and on the carrier's progress do not.

use chrono::{DateTime, Utc};
use shared::{
    batch::{SeqRange, claim::Claim, rows::SEND_UNTIL},
    carrier::capacity::CARRIER,
    platform::db::Db,
};
use uuid::Uuid;

/// Holds the recipients of a batch that were never sent to: they stay PENDING until an operator
/// decides.
///
/// Returns false if the claim is lost or the schedule is not running any more, so that a cancel and
/// a hold never overlap.
pub async fn hold_missed(db: &Db, claim: &Claim, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE batches b JOIN schedules s ON s.id = b.schedule_id SET b.missed_at = ?
         WHERE b.schedule_id = ? AND b.batch_no = ? AND b.claim_token = ? AND s.status = 'running'",
        now,
        claim.batch.schedule_id,
        claim.batch.batch_no,
        claim.token
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Moves the planned time of a batch to `at`, the next opening of its schedule's window: lateness
/// counts from there. If the claim is lost, nothing changes, and the new owner decides.
pub async fn postpone(db: &Db, claim: &Claim, at: DateTime<Utc>) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE batches SET planned_at = ? WHERE schedule_id = ? AND batch_no = ? AND claim_token = ? AND planned_at < ?",
        at,
        claim.batch.schedule_id,
        claim.batch.batch_no,
        claim.token,
        at
    );
    done.execute(db).await.map(drop)
}

/// Ends the PENDING rows of a batch whose schedule has reached its end. Returns the number of rows.
pub async fn expire_pending(
    db: &Db,
    claim: &Claim,
    range: SeqRange,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN batches b ON b.schedule_id = r.schedule_id AND b.batch_no = ?
         SET r.status = 'EXPIRED', r.error = ?, r.final_at = ?
         WHERE r.schedule_id = ? AND r.seq BETWEEN ? AND ? AND r.status = 'PENDING' AND b.claim_token = ?",
        claim.batch.batch_no,
        SEND_UNTIL,
        now,
        claim.batch.schedule_id,
        range.first,
        range.last,
        claim.token
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Records that the carrier has accepted a message at `now`, unless that is recorded since
/// `recorded_before`; and the outage that this acceptance has ended, if the one before it is older
/// than `outage_before`.
pub async fn record_progress(
    db: &Db,
    now: DateTime<Utc>,
    recorded_before: DateTime<Utc>,
    outage_before: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        // Of a single-table UPDATE, the assignments are executed from left to right.
        "UPDATE carriers SET outage_until = IF(progress_at <= ?, ?, outage_until), outage_from = IF(progress_at <= ?, progress_at, outage_from),
           progress_at = ?
         WHERE name = ? AND (progress_at IS NULL OR progress_at <= ?)",
        outage_before,
        now,
        outage_before,
        now,
        CARRIER,
        recorded_before
    );
    done.execute(db).await.map(drop)
}

/// Takes the next slot of a schedule's rate for `messages` messages, if it starts at `until` or
/// earlier. Returns its start.
///
/// A GCRA without a burst: an unused slot is lost, so a delay is never made up for by a burst.
pub async fn take_rate_slot(
    db: &Db,
    schedule_id: Uuid,
    messages: u32,
    times: SlotTimes,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    let done = sqlx::query!(
        // LAST_INSERT_ID(…) returns the start with the result, without a second round trip.
        "UPDATE schedules SET rate_free_at_us = LAST_INSERT_ID(GREATEST(rate_free_at_us, ?)) + CEIL(? * 1000000 / rate)
         WHERE id = ? AND rate > 0 AND rate_free_at_us <= ?",
        micros(times.now),
        messages,
        schedule_id,
        micros(times.until)
    );
    let done = done.execute(db).await?;
    Ok((done.rows_affected() > 0).then(|| from_micros(done.last_insert_id())))
}

/// The times of a slot that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct SlotTimes {
    /// The time of the question.
    pub now: DateTime<Utc>,
    /// The latest start.
    pub until: DateTime<Utc>,
}

/// Returns when the next slot of a schedule's rate starts; `None` if it has no rate any more.
pub async fn rate_free_at(db: &Db, schedule_id: Uuid) -> sqlx::Result<Option<DateTime<Utc>>> {
    let row = sqlx::query!(
        "SELECT rate, rate_free_at_us FROM schedules WHERE id = ?",
        schedule_id
    )
    .fetch_optional(db)
    .await?;
    Ok(row
        .filter(|row| row.rate.is_some())
        .map(|row| from_micros(row.rate_free_at_us)))
}

/// Returns a time as microseconds since 1970, as the column contains it.
fn micros(at: DateTime<Utc>) -> u64 {
    at.timestamp_micros().max(0) as u64
}

/// Returns the time of a column.
fn from_micros(us: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(us as i64).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
