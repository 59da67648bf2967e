//! `POST /v1/schedules/{id}/activate`, `/pause`, `/resume`, `/cancel`: the life of a schedule. A call that comes twice, or too
//! late, changes nothing and is told what is possible. A move takes hold at a batch's next mark, inside a batch too.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use shared::{
    db::{
        recipients::Counts,
        repeat_on_deadlock,
        schedules::{
            LockedSchedule, ScheduleStatus, activate_schedule, cancel_schedule, lock_schedule, pause_schedule, resume_cut_schedule,
            resume_uncut_schedule,
        },
    },
    queue::DispatchMessage,
    status::Status,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::show::{ScheduleView, parse_id, read_view};
use crate::{
    App,
    announce::{announce, enqueue, withdraw},
    error::{ApiError, Conflict},
    query::Query,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Activate,
    Pause,
    Resume,
    Cancel,
}

/// A cancelled schedule.
#[derive(Serialize)]
pub struct Cancelled {
    #[serde(flatten)]
    schedule: ScheduleView,
    /// How many messages had gone out, or were just going out, when the cancellation took hold.
    already_sent: u64,
}

/// draft → scheduled. It needs recipients and a time to come.
pub async fn activate(State(app): State<App>, Path(id): Path<String>, query: Query) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let (_, view) = make(&app, parse_id(&id)?, Move::Activate).await?;
    announce(&app, message(&view), view.run_at.to_utc()).await;
    Ok(Json(view))
}

/// scheduled or running → paused. What was sent is still checked.
pub async fn pause(State(app): State<App>, Path(id): Path<String>, query: Query) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let (before, view) = make(&app, parse_id(&id)?, Move::Pause).await?;
    if before.status == ScheduleStatus::Scheduled {
        withdraw(&app, message(&view)).await;
    }
    Ok(Json(view))
}

/// paused → running, or scheduled where it had not been cut; the time that passed is added.
pub async fn resume(State(app): State<App>, Path(id): Path<String>, query: Query) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let (before, view) = make(&app, parse_id(&id)?, Move::Resume).await?;
    if before.batch_count.is_none() {
        announce(&app, message(&view), view.run_at.to_utc()).await;
    }
    Ok(Json(view))
}

/// draft, scheduled, running or paused → cancelled. Workers close what was not sent.
pub async fn cancel(State(app): State<App>, Path(id): Path<String>, query: Query) -> Result<Json<Cancelled>, ApiError> {
    query.finish()?;
    let (before, schedule) = make(&app, parse_id(&id)?, Move::Cancel).await?;
    if before.status == ScheduleStatus::Scheduled {
        withdraw(&app, message(&schedule)).await;
    }
    if before.batch_count.is_none() {
        enqueue(&app, message(&schedule)).await;
    }
    let already_sent = schedule.counts.as_ref().map(sent).unwrap_or_default();
    Ok(Json(Cancelled { schedule, already_sent }))
}

/// Makes the move, and returns how the schedule was before, and how it is now.
async fn make(app: &App, id: Uuid, step: Move) -> Result<(LockedSchedule, ScheduleView), ApiError> {
    let made = repeat_on_deadlock(|| async {
        match try_make(app, id, step).await {
            Err(ApiError::Database(error)) => Err(error),
            other => Ok(other),
        }
    });
    made.await?
}

async fn try_make(app: &App, id: Uuid, step: Move) -> Result<(LockedSchedule, ScheduleView), ApiError> {
    let mut transaction = app.db.pool.begin().await?;
    let made = async {
        let before = lock_schedule(&mut transaction, id).await?.ok_or_else(ApiError::no_such_schedule)?;
        allow(app, &before, step)?;
        write(app, &mut transaction, &before, step).await?;
        let view = read_view(&mut transaction, id).await?;
        Ok((before, view))
    }
    .await;
    // Never left to the drop: a frozen environment would keep the lock.
    match made {
        Ok(_) => transaction.commit().await?,
        Err(_) => transaction.rollback().await?,
    }
    made
}

async fn write(app: &App, transaction: &mut MySqlConnection, before: &LockedSchedule, step: Move) -> sqlx::Result<()> {
    let now = app.db.now();
    match (step, before.paused_at) {
        (Move::Activate, _) => activate_schedule(transaction, before.id).await,
        (Move::Pause, _) => pause_schedule(transaction, before.id, now).await,
        (Move::Resume, Some(paused_at)) if before.batch_count.is_some() => {
            resume_cut_schedule(transaction, before.id, paused_at, now).await
        }
        (Move::Resume, _) => resume_uncut_schedule(transaction, before.id, now).await,
        (Move::Cancel, _) => cancel_schedule(transaction, before.id, now).await,
    }
}

fn allow(app: &App, schedule: &LockedSchedule, step: Move) -> Result<(), ApiError> {
    use ScheduleStatus::{Draft, Paused, Running, Scheduled};
    let status = schedule.status;
    let (allowed, expected) = match step {
        Move::Activate => (status == Draft, "a draft"),
        Move::Pause => (matches!(status, Scheduled | Running), "a schedule that is scheduled or running"),
        Move::Resume => (status == Paused, "a schedule that is paused"),
        Move::Cancel => {
            (matches!(status, Draft | Scheduled | Running | Paused), "a schedule that is draft, scheduled, running or paused")
        }
    };
    if !allowed {
        return Err(conflict("wrong-state", status, format!("expected {expected}; this one is {}", status.as_str())));
    }
    if step == Move::Activate && schedule.recipient_count == 0 {
        return Err(conflict("no-recipients", status, "expected a draft with recipients; append some first".to_owned()));
    }
    if step == Move::Activate && schedule.run_at <= app.db.now() {
        return Err(conflict("run-at-past", status, "expected a run_at to come; it has passed meanwhile".to_owned()));
    }
    Ok(())
}

/// 409 for what can only be done before a schedule begins.
pub fn begun(status: ScheduleStatus) -> ApiError {
    let detail = format!(
        "recipients can be appended to what is draft or scheduled; this one is {}. A schedule begins some time ahead of its run_at",
        status.as_str()
    );
    conflict("schedule-begun", status, detail)
}

fn conflict(slug: &'static str, status: ScheduleStatus, detail: String) -> ApiError {
    let possible: &[&str] = match status {
        ScheduleStatus::Draft => &["append", "activate", "cancel"],
        ScheduleStatus::Scheduled => &["append", "pause", "cancel"],
        ScheduleStatus::Running => &["pause", "cancel"],
        ScheduleStatus::Paused => &["resume", "cancel"],
        ScheduleStatus::Finished | ScheduleStatus::Cancelled | ScheduleStatus::Missed => &[],
    };
    ApiError::Conflict(Conflict { slug, detail, status, possible })
}

fn message(schedule: &ScheduleView) -> DispatchMessage {
    DispatchMessage { schedule_id: schedule.id, version: schedule.version }
}

/// Everything that an HTTP request to the carrier was begun for.
fn sent(counts: &Counts) -> u64 {
    let stayed = |status: &Status| matches!(status, Status::Pending | Status::Cancelled | Status::Suppressed | Status::Invalid);
    counts.iter().filter(|(status, _)| !stayed(status)).map(|(_, count)| count).sum()
}
