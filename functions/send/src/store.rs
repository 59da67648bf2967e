//! The statements that only send executes: a batch that was found too late, or while its window is
//! closed. Both need the claim: a worker that has lost it changes nothing.

use chrono::{DateTime, Utc};
use shared::{batch::claim::Claim, platform::db::Db};

/// Holds the recipients of a batch that were not sent to: they stay PENDING until an operator
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
