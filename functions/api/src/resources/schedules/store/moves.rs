//! The moves of a schedule's lifecycle that callers request. Each statement names the states from
//! which it may start, so that a call that is repeated, or comes too late, matches no row. All run
//! under the lock of [`super::lock_schedule`].

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use shared::{
    batch::admission::turns::open_turn,
    message::window::Window,
    platform::backoff::SWEEP_BEFORE,
    schedule::{row::Schedule, start::Start},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// Moves draft → scheduled.
pub async fn activate_schedule(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!(
        // The reason is that of a rejection.
        "UPDATE schedules SET status = 'scheduled', reason = NULL WHERE id = ? AND status = 'draft'",
        id
    );
    done.execute(connection).await.map(drop)
}

/// Writes the changed fields of a schedule that has not been cut. If it begins at another time, the
/// version rises, so that an event for the old time finds nothing to do.
pub async fn change_schedule(
    connection: &mut MySqlConnection,
    row: &Schedule,
    start_changed: bool,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET run_at = ?, run_at_offset = ?, opens_at = ?, message = ?, parts = ?, sender = ?, rate = ?, send_window = ?, max_lateness_s = ?,
           max_resends = ?, resend_within_s = ?, on_uncertain = ?, version = version + ?
         WHERE id = ? AND batch_count IS NULL AND status IN ('draft', 'awaiting-approval', 'scheduled', 'paused')",
        row.run_at,
        row.run_at_offset,
        Start::of(row).opens_at(),
        row.message,
        row.parts,
        row.sender,
        row.rate,
        row.send_window,
        row.max_lateness_s,
        row.max_resends,
        row.resend_within_s,
        row.on_uncertain.as_str(),
        u32::from(start_changed),
        row.id
    );
    done.execute(connection).await.map(drop)
}

/// Changes the rate of a schedule that has been cut, and spreads the batches that were not tried
/// yet, beginning at `from`: they wait for their turn again. A batch that a worker owns, or that
/// waits for its back-off, keeps its time. Messages on a queue that come too early find nothing to
/// claim.
pub async fn change_rate(
    connection: &mut MySqlConnection,
    id: Uuid,
    rate: Option<u32>,
    from: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET rate = ? WHERE id = ? AND status IN ('running', 'paused') AND batch_count IS NOT NULL",
        rate,
        id
    );
    done.execute(&mut *connection).await?;
    // Without a rate all batches are due at once. The derived table is complete before the first
    // row is written, so it may read the columns that are written.
    let rate = rate.map_or(i64::MAX / 1_000_000, i64::from);
    sqlx::query!(
        "UPDATE batches b JOIN (
           SELECT batch_no, CAST((SUM(pending) OVER (ORDER BY batch_no) - pending) * 1000 AS SIGNED) DIV ? * 1000 AS wait_us
           FROM batches
           WHERE schedule_id = ? AND claim_token IS NULL AND tries = 0 AND pending > 0 AND missed_at IS NULL AND send_at IS NOT NULL) p
           ON p.batch_no = b.batch_no
         SET b.planned_at = ? + INTERVAL p.wait_us MICROSECOND, b.send_at = ? + INTERVAL p.wait_us MICROSECOND,
           b.waiting = 1, b.sweep_at = COALESCE(b.check_at - INTERVAL ? SECOND, '9999-01-01'), b.requeues = 0
         WHERE b.schedule_id = ? AND b.claim_token IS NULL",
        rate,
        id,
        from,
        from,
        SWEEP_BEFORE.num_seconds(),
        id
    )
    .execute(&mut *connection)
    .await?;
    open_turn(connection, id, from.max(now), now).await
}

/// Spreads the batches that were not tried yet over the hours of the schedule's window, from `from`
/// on. [`change_rate`] and [`resume_cut_schedule`] do not consider the window, and leave the
/// batches in their order.
pub async fn spread_in_window(
    connection: &mut MySqlConnection,
    schedule: &Schedule,
    from: DateTime<Utc>,
) -> sqlx::Result<()> {
    let Some(window) = Window::of(schedule.send_window.as_deref()) else {
        return Ok(());
    };
    let batches = sqlx::query!(
        "SELECT batch_no, pending FROM batches
         WHERE schedule_id = ? AND claim_token IS NULL AND tries = 0 AND pending > 0 AND missed_at IS NULL AND send_at IS NOT NULL
         ORDER BY batch_no",
        schedule.id
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut before: i64 = 0;
    let mut plan = Vec::with_capacity(batches.len());
    for batch in batches {
        let offset = TimeDelta::milliseconds(
            schedule
                .rate
                .map_or(0, |rate| before * 1000 / i64::from(rate)),
        );
        let at = window.after(from, offset);
        plan.push((batch.batch_no, database_time(at)));
        before += i64::from(batch.pending);
    }
    let done = sqlx::query!(
        "UPDATE batches b JOIN JSON_TABLE(?, '$[*]' COLUMNS (batch_no INT UNSIGNED PATH '$[0]', at DATETIME(3) PATH '$[1]')) p
           ON p.batch_no = b.batch_no
         SET b.planned_at = p.at, b.send_at = p.at
         WHERE b.schedule_id = ? AND b.claim_token IS NULL",
        json!(plan).to_string(),
        schedule.id
    );
    done.execute(connection).await.map(drop)
}

/// Formats a time for the database: UTC, in whole milliseconds.
fn database_time(at: DateTime<Utc>) -> String {
    at.format("%F %T%.3f").to_string()
}

/// Moves scheduled or running → paused. It takes effect at the next mark; rechecks continue.
pub async fn pause_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'paused', paused_at = ?, pause_reason = NULL, reason = ?
         WHERE id = ? AND status IN ('scheduled', 'running')",
        now,
        reason,
        id
    );
    done.execute(connection).await.map(drop)
}

/// Moves paused → scheduled if the schedule had not been cut, with this start. The version rises, so
/// that events for the old time are ignored.
pub async fn resume_uncut_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    start: Start<'_>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'scheduled', run_at = ?, opens_at = ?, version = version + 1, paused_at = NULL,
           pause_reason = NULL, reason = NULL
         WHERE id = ? AND status = 'paused' AND batch_count IS NULL",
        start.run_at,
        start.opens_at(),
        id
    );
    done.execute(connection).await.map(drop)
}

/// Moves paused → running if the schedule had been cut. The planned times of messages that were not
/// sent move by the length of the pause, which began at `paused_at`, and their batches wait for
/// their turn, at `from` at the earliest. A batch whose owner crashed is visible to the sweep again,
/// which does not look at paused schedules. A batch that is held because it was found too late stays
/// held: it has no `send_at`.
pub async fn resume_cut_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    pause: Pause,
) -> sqlx::Result<()> {
    let Pause {
        paused_at,
        now,
        from,
    } = pause;
    sqlx::query!(
        "UPDATE schedules SET status = 'running', paused_at = NULL, pause_reason = NULL, reason = NULL
         WHERE id = ? AND status = 'paused' AND batch_count IS NOT NULL",
        id
    )
    .execute(&mut *connection)
    .await?;
    let pause_us = (now - paused_at).num_milliseconds().max(0) * 1000;
    // One table: assignments are made from left to right, so `send_at` reads the old `planned_at`,
    // and `sweep_at` the new `waiting`.
    sqlx::query!(
        "UPDATE batches SET send_at = GREATEST(?, planned_at + INTERVAL ? MICROSECOND),
           planned_at = planned_at + INTERVAL ? MICROSECOND, waiting = IF(claim_token IS NULL AND pending > 0, 1, waiting),
           sweep_at = CASE WHEN claim_token IS NOT NULL THEN claimed_until + INTERVAL 1 SECOND
             WHEN waiting = 1 THEN COALESCE(check_at - INTERVAL ? SECOND, '9999-01-01') ELSE ? END, requeues = 0
         WHERE schedule_id = ? AND send_at IS NOT NULL",
        now,
        pause_us,
        pause_us,
        SWEEP_BEFORE.num_seconds(),
        now,
        id
    )
    .execute(&mut *connection)
    .await?;
    open_turn(connection, id, from, now).await
}

/// A pause that ends.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    /// When it began.
    pub paused_at: DateTime<Utc>,
    /// When it ends.
    pub now: DateTime<Utc>,
    /// Nothing is sent before this time: the end of the pause, or `run_at`.
    pub from: DateTime<Utc>,
}

/// Moves any state that is not final → cancelled. Its batches become due at once, the held ones
/// too, so that workers close the messages that were not sent; their turn is before all others. For
/// a batch that a worker owns, only the hold is removed: its release finds no hold, and sets the due
/// time. If the owner crashed during a pause, the sweep finds the batch again.
pub async fn cancel_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE schedules SET status = 'cancelled', paused_at = NULL, pause_reason = NULL, reason = ?
         WHERE id = ? AND status IN ('draft', 'awaiting-approval', 'scheduled', 'running', 'paused', 'missed')",
        reason,
        id
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE batches SET send_at = IF(claim_token IS NULL, ?, send_at), waiting = IF(claim_token IS NULL AND pending > 0, 1, waiting),
           sweep_at = CASE WHEN claim_token IS NOT NULL THEN LEAST(sweep_at, claimed_until + INTERVAL 1 SECOND)
             WHEN waiting = 1 THEN COALESCE(check_at - INTERVAL ? SECOND, '9999-01-01') ELSE ? END,
           requeues = IF(claim_token IS NULL, 0, requeues), missed_at = NULL
         WHERE schedule_id = ? AND (missed_at IS NOT NULL OR send_at IS NOT NULL)",
        now,
        SWEEP_BEFORE.num_seconds(),
        now,
        id
    )
    .execute(&mut *connection)
    .await?;
    open_turn(connection, id, now, now).await
}

/// Moves missed → scheduled if the schedule had not been cut, with this start, from which its lateness
/// counts.
pub async fn send_uncut_now(
    connection: &mut MySqlConnection,
    id: Uuid,
    start: Start<'_>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'scheduled', run_at = ?, opens_at = ?, version = version + 1
         WHERE id = ? AND status = 'missed' AND batch_count IS NULL",
        start.run_at,
        start.opens_at(),
        id
    );
    done.execute(connection).await.map(drop)
}

/// Releases the batches that are held because they were found too late: they wait for their turn, and
/// lateness counts from now. A missed schedule becomes running again. Returns how many batches were
/// released. A batch that a worker owns gets its due time from its release, as in
/// [`cancel_schedule`].
pub async fn send_held_now(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let released = sqlx::query!(
        "UPDATE batches SET planned_at = ?, send_at = IF(claim_token IS NULL, ?, send_at),
           waiting = IF(claim_token IS NULL AND pending > 0, 1, waiting),
           sweep_at = CASE WHEN claim_token IS NOT NULL THEN sweep_at
             WHEN waiting = 1 THEN COALESCE(check_at - INTERVAL ? SECOND, '9999-01-01') ELSE ? END,
           requeues = IF(claim_token IS NULL, 0, requeues), tries = 0, missed_at = NULL
         WHERE schedule_id = ? AND missed_at IS NOT NULL",
        now,
        now,
        SWEEP_BEFORE.num_seconds(),
        now,
        id
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if released > 0 {
        sqlx::query!("UPDATE schedules SET status = 'running' WHERE id = ? AND status = 'missed' AND batch_count IS NOT NULL", id)
            .execute(&mut *connection)
            .await?;
        open_turn(connection, id, now, now).await?;
    }
    Ok(released)
}
