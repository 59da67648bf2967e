//! The moves of a schedule's life that people make. Each names the states that it may start from, so that a call that comes twice, or
//! too late, matches no row. All run under the lock of [`super::schedules::lock_schedule`].

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::MySqlConnection;
use uuid::Uuid;

use shared::schedule::row::Schedule;
use shared::{message::window::Window, platform::backoff::SWEEP_BEFORE};

/// draft → scheduled.
pub async fn activate_schedule(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'scheduled' WHERE id = ? AND status = 'draft'",
        id
    );
    done.execute(connection).await.map(drop)
}

/// What a client has changed about a schedule that has not been cut. With the time the version rises, so that an event for the old time
/// finds nothing to do.
pub async fn change_schedule(
    connection: &mut MySqlConnection,
    row: &Schedule,
    time_changed: bool,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET run_at = ?, run_at_offset = ?, message = ?, parts = ?, sender = ?, rate = ?, send_window = ?, max_lateness_s = ?,
           max_resends = ?, resend_within_s = ?, on_uncertain = ?, version = version + ?
         WHERE id = ? AND batch_count IS NULL AND status IN ('draft', 'scheduled', 'paused')",
        row.run_at,
        row.run_at_offset,
        row.message,
        row.parts,
        row.sender,
        row.rate,
        row.send_window,
        row.max_lateness_s,
        row.max_resends,
        row.resend_within_s,
        row.on_uncertain.as_str(),
        u32::from(time_changed),
        row.id
    );
    done.execute(connection).await.map(drop)
}

/// Another rate for what has been cut: the batches of which nothing was tried yet are spread anew, beginning at `from`. What somebody
/// owns or waits for its back-off keeps its time. Of messages on a queue, those that come too early find nothing to claim, and those that
/// come too late are overtaken by the sweep's.
pub async fn change_rate(
    connection: &mut MySqlConnection,
    (id, rate): (Uuid, Option<u32>),
    from: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET rate = ? WHERE id = ? AND status IN ('running', 'paused') AND batch_count IS NOT NULL",
        rate,
        id
    );
    done.execute(&mut *connection).await?;
    // Without a rate all are due at once. The plan is made whole before the first row is written, so it may read what is written.
    let rate = rate.map_or(i64::MAX / 1_000_000, i64::from);
    sqlx::query!(
        "UPDATE batches b JOIN (
           SELECT batch_no, CAST((SUM(pending) OVER (ORDER BY batch_no) - pending) * 1000 AS SIGNED) DIV ? * 1000 AS wait_us
           FROM batches
           WHERE schedule_id = ? AND claim_token IS NULL AND tries = 0 AND pending > 0 AND missed_at IS NULL AND send_at IS NOT NULL) p
           ON p.batch_no = b.batch_no
         SET b.planned_at = ? + INTERVAL p.wait_us MICROSECOND, b.send_at = ? + INTERVAL p.wait_us MICROSECOND,
           b.sweep_at = GREATEST(?, ? + INTERVAL p.wait_us MICROSECOND - INTERVAL ? SECOND), b.requeues = 0
         WHERE b.schedule_id = ? AND b.claim_token IS NULL",
        rate,
        id,
        from,
        from,
        now,
        from,
        SWEEP_BEFORE.num_seconds(),
        id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Spreads what of a schedule with a window was not tried yet over the hours in which it may send, from `from` on: [`change_rate`] and
/// [`resume_cut_schedule`] know of no hours, and leave it in their order.
pub async fn spread_in_window(
    connection: &mut MySqlConnection,
    schedule: &Schedule,
    from: DateTime<Utc>,
    now: DateTime<Utc>,
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
        plan.push((
            batch.batch_no,
            text_of(at),
            text_of(now.max(at - SWEEP_BEFORE)),
        ));
        before += i64::from(batch.pending);
    }
    let done = sqlx::query!(
        "UPDATE batches b JOIN JSON_TABLE(?, '$[*]' COLUMNS (batch_no INT UNSIGNED PATH '$[0]', at DATETIME(3) PATH '$[1]',
             sweep DATETIME(3) PATH '$[2]')) p ON p.batch_no = b.batch_no
         SET b.planned_at = p.at, b.send_at = p.at, b.sweep_at = p.sweep, b.requeues = 0
         WHERE b.schedule_id = ? AND b.claim_token IS NULL",
        json!(plan).to_string(),
        schedule.id
    );
    done.execute(connection).await.map(drop)
}

/// As the database reads a time: UTC, in whole milliseconds.
fn text_of(at: DateTime<Utc>) -> String {
    at.format("%F %T%.3f").to_string()
}

/// scheduled or running → paused. It takes hold at the next mark; rechecks go on.
pub async fn pause_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
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
pub async fn resume_uncut_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
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
pub async fn cancel_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
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
pub async fn send_uncut_now(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
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
pub async fn send_held_now(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
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
