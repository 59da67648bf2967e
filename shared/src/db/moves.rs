//! The moves of a schedule's life that people make. Each names the states that it may start from, so that a call that comes twice, or
//! too late, matches no row. All run under the lock of [`super::schedules::lock_schedule`].

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// draft → scheduled.
pub async fn activate_schedule(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!("UPDATE schedules SET status = 'scheduled' WHERE id = ? AND status = 'draft'", id);
    done.execute(connection).await.map(drop)
}

/// Another time for what has not been cut. The version rises, so that an event for the old time finds nothing to do.
pub async fn change_time(
    connection: &mut MySqlConnection,
    id: Uuid,
    (run_at, run_at_offset): (DateTime<Utc>, &str),
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET run_at = ?, run_at_offset = ?, version = version + 1
         WHERE id = ? AND batch_count IS NULL AND status IN ('draft', 'scheduled', 'paused')",
        run_at,
        run_at_offset,
        id
    );
    done.execute(connection).await.map(drop)
}

/// scheduled or running → paused. It takes hold at the next mark; rechecks go on.
pub async fn pause_schedule(connection: &mut MySqlConnection, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'paused', paused_at = ?, pause_reason = NULL
         WHERE id = ? AND status IN ('scheduled', 'running')",
        now,
        id
    );
    done.execute(connection).await.map(drop)
}

/// paused → scheduled, where it had not been cut. A time that passed meanwhile becomes now; the version rises, so that events
/// for the old time are ignored.
pub async fn resume_uncut_schedule(connection: &mut MySqlConnection, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'scheduled', run_at = GREATEST(run_at, ?), version = version + 1, paused_at = NULL,
           pause_reason = NULL
         WHERE id = ? AND status = 'paused' AND batch_count IS NULL",
        now,
        id
    );
    done.execute(connection).await.map(drop)
}

/// paused → running, where it had been cut; what was not sent moves by as long as it was paused, since `paused_at`. What was held,
/// having been found too late, stays so: it has no `send_at`.
pub async fn resume_cut_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    paused_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE schedules SET status = 'running', paused_at = NULL, pause_reason = NULL
         WHERE id = ? AND status = 'paused' AND batch_count IS NOT NULL",
        id
    )
    .execute(&mut *connection)
    .await?;
    let pause_us = (now - paused_at).num_milliseconds().max(0) * 1000;
    // One table: assignments are made from left to right, so send_at reads the planned_at of before.
    sqlx::query!(
        "UPDATE batches SET send_at = GREATEST(?, planned_at + INTERVAL ? MICROSECOND),
           planned_at = planned_at + INTERVAL ? MICROSECOND, sweep_at = ?, requeues = 0
         WHERE schedule_id = ? AND send_at IS NOT NULL",
        now,
        pause_us,
        pause_us,
        now,
        id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Any state but the last ones → cancelled; its batches come due at once, those that were held too, so that workers close what was
/// not sent. Of a batch that somebody owns only the hold is taken away: its release sees that, and sets the due time.
pub async fn cancel_schedule(connection: &mut MySqlConnection, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE schedules SET status = 'cancelled', paused_at = NULL, pause_reason = NULL
         WHERE id = ? AND status IN ('draft', 'scheduled', 'running', 'paused', 'missed')",
        id
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE batches SET send_at = IF(claim_token IS NULL, ?, send_at), sweep_at = IF(claim_token IS NULL, ?, sweep_at),
           requeues = IF(claim_token IS NULL, 0, requeues), missed_at = NULL
         WHERE schedule_id = ? AND (missed_at IS NOT NULL OR (send_at IS NOT NULL AND claim_token IS NULL))",
        now,
        now,
        id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// missed → scheduled for now, where it had not been cut; its lateness counts anew.
pub async fn send_uncut_now(connection: &mut MySqlConnection, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'scheduled', run_at = ?, version = version + 1
         WHERE id = ? AND status = 'missed' AND batch_count IS NULL",
        now,
        id
    );
    done.execute(connection).await.map(drop)
}

/// Releases what was held, having been found too late: it is due now, and lateness counts from now. A missed schedule runs again.
/// Returns how many batches that were. One that somebody owns gets its due time from its release, as in [`cancel_schedule`].
pub async fn send_held_now(connection: &mut MySqlConnection, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<u64> {
    let released = sqlx::query!(
        "UPDATE batches SET planned_at = ?, send_at = IF(claim_token IS NULL, ?, send_at),
           sweep_at = IF(claim_token IS NULL, ?, sweep_at), requeues = IF(claim_token IS NULL, 0, requeues), tries = 0, missed_at = NULL
         WHERE schedule_id = ? AND missed_at IS NOT NULL",
        now,
        now,
        now,
        id
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if released > 0 {
        sqlx::query!("UPDATE schedules SET status = 'running' WHERE id = ? AND status = 'missed' AND batch_count IS NOT NULL", id)
            .execute(connection)
            .await?;
    }
    Ok(released)
}
