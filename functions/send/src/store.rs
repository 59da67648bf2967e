//! TODO header

use chrono::{DateTime, Utc};
use shared::batch::claim::Claim;
use shared::platform::db::Db;

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
