//! The decision about a canary. Until it is made, `schedules.held_after` holds the batches behind it:
//! no admission reads them, and no claim takes them.
//!
//! It is made where statuses are recorded, at the release of each batch of the canary, and in each
//! sweep, for what the time decides. One transaction under the lock of the schedule's row writes the
//! outcome and what follows from it. If it runs twice, the second run finds nothing held; if the
//! process crashes behind it, the turn is open, or the schedule is paused.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::admission::turns::open_turn;
use crate::{
    events::EventType,
    platform::{
        db::{Db, transaction::transaction_if},
        queue::DeliveryMessage,
    },
    schedule::{
        canary::{Canary, CanaryFigures, CanaryOutcome, Verdict, count_canary, judge, load_canary},
        event::record_event,
        lifecycle::pause_schedule,
    },
};

/// A decision that was made.
#[derive(Clone, Debug)]
pub struct Decided {
    /// What has become of the canary.
    pub outcome: CanaryOutcome,
    /// The deliveries of the event that the schedule is paused.
    pub deliveries: Vec<DeliveryMessage>,
}

/// Decides about the canary of a running schedule, if that is possible. Returns `None` if nothing is
/// held, or the canary can still become either.
pub async fn decide_canary(db: &Db, schedule_id: Uuid) -> sqlx::Result<Option<Decided>> {
    // Also without a decision something is written: when all of the canary had been sent.
    let commits = |_: &Option<Decided>| true;
    let decided = transaction_if(
        db,
        commits,
        |error| Some(error),
        |transaction| Box::pin(decide(transaction, schedule_id, db.now())),
    )
    .await?;
    if let Some(Decided { outcome, .. }) = &decided {
        if *outcome == CanaryOutcome::Failed {
            // The alarm follows from the row: each sweep reads it.
            tracing::error!(schedule.id = %schedule_id, "the canary failed; the schedule is paused");
        } else {
            tracing::info!(schedule.id = %schedule_id, outcome = outcome.as_str(), "the canary is decided");
        }
    }
    Ok(decided)
}

async fn decide(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Decided>> {
    let Some(ends_at) = lock_held(connection, id).await? else {
        return Ok(None);
    };
    let Some(canary) = load_canary(connection, id).await? else {
        return Ok(None);
    };
    let figures = match canary.last_seq {
        Some(last_seq) => count_canary(connection, id, last_seq).await?,
        None => CanaryFigures::default(),
    };
    if ends_at.is_some_and(|end| end <= now) {
        // What is left is closed, as in any schedule.
        return write(connection, id, CanaryOutcome::Ended, &figures, now)
            .await
            .map(Some);
    }
    let sent_at = canary.sent_at.or((figures.unsent == 0).then_some(now));
    let canary = Canary { sent_at, ..canary };
    let is_late = canary.deadline().is_some_and(|deadline| deadline <= now);
    match judge(&canary.rule, &figures, is_late) {
        Verdict::Undecided => {
            set_sent_at(connection, id, sent_at).await?;
            Ok(None)
        }
        Verdict::Passes => write(connection, id, CanaryOutcome::Passed, &figures, now)
            .await
            .map(Some),
        Verdict::Fails => {
            let reason = reason(&canary, &figures, is_late);
            pause_schedule(connection, id, &reason, now).await?;
            let mut decided = write(connection, id, CanaryOutcome::Failed, &figures, now).await?;
            decided.deliveries =
                record_event(connection, EventType::SchedulePaused, id, now).await?;
            Ok(Some(decided))
        }
    }
}

/// Returns why the schedule is paused.
fn reason(canary: &Canary, figures: &CanaryFigures, is_late: bool) -> String {
    let CanaryFigures {
        delivered,
        failed,
        undecided,
        ..
    } = figures;
    let counted = figures.counted();
    let needed = canary.rule.needed(counted);
    let when = if is_late {
        format!(" after {} s", canary.rule.within_s)
    } else {
        String::new()
    };
    format!(
        "canary: {delivered} of {counted} delivered{when}, {failed} failed, {undecided} open; {needed} needed"
    )
}

/// Locks the row of a running schedule of which batches are held. Returns its end; `None`: there is no
/// such schedule.
async fn lock_held(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<Option<DateTime<Utc>>>> {
    let row = sqlx::query!(
        r#"SELECT COALESCE(send_until, run_at + INTERVAL send_within_s SECOND) AS "ends_at: DateTime<Utc>"
           FROM schedules WHERE id = ? AND status = 'running' AND held_after IS NOT NULL FOR UPDATE"#,
        id
    );
    Ok(row.fetch_optional(connection).await?.map(|row| row.ends_at))
}

async fn set_sent_at(
    connection: &mut MySqlConnection,
    id: Uuid,
    sent_at: Option<DateTime<Utc>>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedule_canaries SET sent_at = ? WHERE schedule_id = ?",
        sent_at,
        id
    );
    done.execute(connection).await.map(drop)
}

/// Writes the outcome. Unless the canary has failed, what was held waits for its turn: it is planned
/// for now, so that neither its lateness nor its time for resends counts the wait.
async fn write(
    connection: &mut MySqlConnection,
    id: Uuid,
    outcome: CanaryOutcome,
    figures: &CanaryFigures,
    now: DateTime<Utc>,
) -> sqlx::Result<Decided> {
    sqlx::query!(
        "UPDATE schedule_canaries SET outcome = ?, decided_at = ?, delivered = ?, failed = ?, undecided = ? WHERE schedule_id = ?",
        outcome.as_str(),
        now,
        figures.delivered,
        figures.failed,
        figures.undecided,
        id
    )
    .execute(&mut *connection)
    .await?;
    if outcome != CanaryOutcome::Failed {
        release_held(connection, id, now).await?;
        open_turn(connection, id, now, now).await?;
    }
    let deliveries = Vec::new();
    Ok(Decided {
        outcome,
        deliveries,
    })
}

/// Releases what is held behind a canary, under the lock of the schedule's row. The batches wait for
/// their turn, which the caller opens.
pub async fn release_held(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE batches b JOIN schedules s ON s.id = b.schedule_id
         SET b.planned_at = GREATEST(b.planned_at, ?), b.send_at = GREATEST(b.send_at, ?)
         WHERE b.schedule_id = ? AND b.batch_no > s.held_after AND b.waiting = 1 AND b.send_at IS NOT NULL",
        now,
        now,
        id
    )
    .execute(&mut *connection)
    .await?;
    let done = sqlx::query!("UPDATE schedules SET held_after = NULL WHERE id = ?", id);
    done.execute(connection).await.map(drop)
}

/// Holds the batches behind a canary, in the transaction that cuts the schedule.
pub async fn hold_behind(
    connection: &mut MySqlConnection,
    id: Uuid,
    last_batch: u32,
    last_seq: u32,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE schedules SET held_after = ? WHERE id = ?",
        last_batch,
        id
    )
    .execute(&mut *connection)
    .await?;
    let done = sqlx::query!(
        "UPDATE schedule_canaries SET last_seq = ? WHERE schedule_id = ?",
        last_seq,
        id
    );
    done.execute(connection).await.map(drop)
}

/// Returns the running schedules of which batches are held behind a canary.
pub async fn held_schedules(db: &Db) -> sqlx::Result<Vec<Uuid>> {
    let rows = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM schedules FORCE INDEX (by_status) WHERE status = 'running' AND held_after IS NOT NULL"#
    );
    rows.fetch_all(db).await
}
