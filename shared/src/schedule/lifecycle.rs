//! The transitions of a schedule that several functions make: finish, pause, reopen.
//!
//! [`finish`] and [`pause`] are whole transactions of the workers: the change and its event. The
//! statements beside them run inside a caller's transaction.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::{event::record_event, row::read_status, status::ScheduleStatus};
use crate::{
    events::EventType,
    platform::{
        db::{Db, transaction::transaction},
        queue::DeliveryMessage,
    },
};

/// Finishes a schedule that has nothing left to do, records the event, and has the summary computed.
///
/// Returns the deliveries to enqueue, or `None` if a batch still has something to do or the
/// schedule is finished already. Several workers may call it at once: one of them finishes it.
pub async fn finish(db: &Db, schedule_id: Uuid) -> sqlx::Result<Option<Vec<DeliveryMessage>>> {
    transaction(db, |transaction| {
        Box::pin(async move {
            let now = db.now();
            if !finish_schedule(transaction, schedule_id, now).await? {
                return Ok(None);
            }
            let status = read_status(transaction, schedule_id).await?;
            let kind = if status == Some(ScheduleStatus::Missed) {
                EventType::ScheduleMissed
            } else {
                request_summary(transaction, schedule_id, now).await?;
                EventType::ScheduleFinished
            };
            record_event(transaction, kind, schedule_id, now)
                .await
                .map(Some)
        })
    })
    .await
}

/// Pauses a running schedule on behalf of the system, and records the event.
///
/// Returns the deliveries to enqueue, or `None` if the schedule is not running.
pub async fn pause(
    db: &Db,
    schedule_id: Uuid,
    reason: &str,
) -> sqlx::Result<Option<Vec<DeliveryMessage>>> {
    transaction(db, |transaction| {
        Box::pin(async move {
            let now = db.now();
            if !pause_schedule(transaction, schedule_id, reason, now).await? {
                return Ok(None);
            }
            record_event(transaction, EventType::SchedulePaused, schedule_id, now)
                .await
                .map(Some)
        })
    })
    .await
}

/// Finishes a running schedule of which no batch has anything to do; if a batch is held, the
/// schedule becomes `missed`. Returns whether it did.
///
/// It runs after the release has committed: if the last two batches were checked inside their own
/// transactions, neither check would see the other release, and the schedule would stay open.
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

/// Has the sweep compute the summary of a schedule that has just finished. One that was computed
/// when it finished before is computed anew.
async fn request_summary(
    db: &mut MySqlConnection,
    schedule_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO schedule_summaries (schedule_id, finishes, requested_at, next_batch) VALUES (?, 1, ?, 1)
         ON DUPLICATE KEY UPDATE finishes = finishes + 1, requested_at = ?, next_batch = 1, histograms = NULL, done_at = NULL",
        schedule_id,
        now,
        now
    );
    done.execute(db).await.map(drop)
}

/// Pauses a running schedule on behalf of the system, for example because the carrier refuses our
/// credentials. Returns whether it did.
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

/// Makes a finished or missed schedule run again, because a batch has something to do.
pub async fn reopen_schedule(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'running', finished_at = NULL
         WHERE id = ? AND status IN ('finished', 'missed') AND batch_count IS NOT NULL",
        id
    );
    done.execute(connection).await.map(drop)
}
