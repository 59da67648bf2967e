//! `POST /v1/schedules/{id}/activate`, `/pause`, `/resume`, `/cancel`, `/send-now`: the life of a schedule. A call that comes twice,
//! or too late, changes nothing and is told what is possible. A move takes hold at a batch's next mark, inside a batch too.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    platform::queue::DeliveryMessage,
    schedule::{event::record_event, row::load_schedule, status::ScheduleStatus},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, caller::Change},
    http::{error::ApiError, path::Path, problems, query::Query, transaction::transaction},
    openapi::Operation,
    resources::schedules::{
        arrange_dispatch::{announce, deliver, enqueue, sweep, withdraw},
        examples::shown,
        show::{ScheduleView, parse_id, read_view},
        state::{Move, allow, conflict},
        store::{
            LockedSchedule, lock_schedule,
            moves::{
                activate_schedule, cancel_schedule, pause_schedule, resume_cut_schedule,
                resume_uncut_schedule, send_held_now, send_uncut_now, spread_in_window,
            },
        },
    },
};

/// A schedule that had been missed.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RestartedSchedule")]
pub struct Restarted {
    #[serde(flatten)]
    schedule: ScheduleView,
    /// How many batches were held and are due now; 0 where it had not been cut, which is done now.
    batches: u64,
}

/// What a move did.
struct Moved {
    before: LockedSchedule,
    view: ScheduleView,
    batches: u64,
    /// What webhooks are told of it.
    told: Vec<DeliveryMessage>,
}

/// draft → scheduled. It needs recipients and a time to come.
pub async fn activate(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let Moved { view, .. } = make(&app, &caller, parse_id(&id)?, Move::Activate).await?;
    announce(&app, view.message(), view.run_at.to_utc()).await;
    Ok(Json(view))
}

/// scheduled or running → paused. What was sent is still checked.
pub async fn pause(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let Moved { before, view, .. } = make(&app, &caller, parse_id(&id)?, Move::Pause).await?;
    if before.status == ScheduleStatus::Scheduled {
        withdraw(&app, view.message()).await;
    }
    Ok(Json(view))
}

/// paused → running, or scheduled where it had not been cut; the time that passed is added.
pub async fn resume(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let Moved { before, view, .. } = make(&app, &caller, parse_id(&id)?, Move::Resume).await?;
    if before.batch_count.is_none() {
        announce(&app, view.message(), view.run_at.to_utc()).await;
    } else {
        sweep(&app).await;
    }
    Ok(Json(view))
}

/// Anything that has not ended → cancelled. Workers close what was not sent.
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let Moved {
        before,
        view: schedule,
        ..
    } = make(&app, &caller, parse_id(&id)?, Move::Cancel).await?;
    if before.status == ScheduleStatus::Scheduled {
        withdraw(&app, schedule.message()).await;
    }
    if before.batch_count.is_none() {
        enqueue(&app, schedule.message()).await;
    } else {
        sweep(&app).await;
    }
    Ok(Json(schedule))
}

/// What was found too late is sent after all, now: a whole schedule that was missed, or the batches of it that were.
pub async fn send_now(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Restarted>, ApiError> {
    query.finish()?;
    let Moved {
        before,
        view: schedule,
        batches,
        ..
    } = make(&app, &caller, parse_id(&id)?, Move::SendNow).await?;
    if before.batch_count.is_none() {
        announce(&app, schedule.message(), schedule.run_at.to_utc()).await;
    } else {
        sweep(&app).await;
    }
    Ok(Json(Restarted { schedule, batches }))
}

/// For the document.
pub fn activate_doc() -> Operation {
    Operation::new("activateSchedule", "schedules", "A draft becomes a plan")
        .text("It needs recipients, and a time to come.")
        .answers::<ScheduleView>(200, "The schedule.", shown("scheduled", json!({})))
        .problems(&["not-found", "wrong-state", "no-recipients", "run-at-past"])
}

/// For the document.
pub fn pause_doc() -> Operation {
    Operation::new("pauseSchedule", "schedules", "Stop for now")
        .text("Of what is scheduled or running. Takes hold at the next request to the carrier. What was sent is still checked.")
        .answers::<ScheduleView>(200, "The schedule.", shown("paused", json!({})))
        .problems(&["not-found", "wrong-state"])
}

/// For the document.
pub fn resume_doc() -> Operation {
    Operation::new("resumeSchedule", "schedules", "Go on")
        .text("What was not sent moves by as long as the pause was.")
        .answers::<ScheduleView>(200, "The schedule.", shown("scheduled", json!({})))
        .problems(&["not-found", "wrong-state"])
}

/// For the document.
pub fn cancel_doc() -> Operation {
    Operation::new("cancelSchedule", "schedules", "Stop for good")
        .text("Of what has not ended. What was not sent is closed; `already_sent` says how many had gone out, or were just going.")
        .answers::<ScheduleView>(200, "The schedule.", shown("cancelled", json!({})))
        .problems(&["not-found", "wrong-state"])
}

/// For the document.
pub fn send_now_doc() -> Operation {
    Operation::new(
        "sendScheduleNow",
        "schedules",
        "Send after all what was found too late",
    )
    .text("Of a schedule that is missed, or was missed in part. As fast as the carrier takes it.")
    .answers::<Restarted>(
        200,
        "The schedule.",
        shown("running", json!({"batches": 1})),
    )
    .problems(&["not-found", "wrong-state", "nothing-missed"])
}

/// Makes the move, and has webhooks told of it.
async fn make(app: &App, caller: &Caller, id: Uuid, step: Move) -> Result<Moved, ApiError> {
    let moved = transaction(&app.db, |transaction| {
        Box::pin(try_make(app, transaction, caller, id, step))
    })
    .await?;
    deliver(app, &moved.told).await;
    Ok(moved)
}

async fn try_make(
    app: &App,
    transaction: &mut MySqlConnection,
    caller: &Caller,
    id: Uuid,
    step: Move,
) -> Result<Moved, ApiError> {
    let before = lock_schedule(transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    allow(&before, step, app.db.now())?;
    let batches = write(app, transaction, &before, step).await?;
    if step == Move::SendNow && before.batch_count.is_some() && batches == 0 {
        let detail = "expected a schedule of which something was missed; nothing of this one waits"
            .to_owned();
        return Err(conflict(&problems::NOTHING_MISSED, &before, detail));
    }
    let view = read_view(app, transaction, id).await?;
    let was = json!({"status": before.status, "version": before.version, "run_at": before.run_at});
    let is = json!({"status": view.status, "version": view.version, "run_at": view.run_at, "counts": view.counts, "batches": batches});
    caller
        .record(
            transaction,
            app.db.now(),
            Change::of_schedule(step.action(), id, was, is),
        )
        .await?;
    let told = match step.event() {
        Some(event) => record_event(transaction, event, id, app.db.now()).await?,
        None => Vec::new(),
    };
    Ok(Moved {
        before,
        view,
        batches,
        told,
    })
}

/// Returns how many held batches were released.
async fn write(
    app: &App,
    transaction: &mut MySqlConnection,
    before: &LockedSchedule,
    step: Move,
) -> sqlx::Result<u64> {
    let now = app.db.now();
    match (step, before.paused_at) {
        (Move::Activate, _) => activate_schedule(transaction, before.id).await?,
        (Move::Pause, _) => pause_schedule(transaction, before.id, now).await?,
        (Move::Resume, Some(paused_at)) if before.batch_count.is_some() => {
            resume_cut_schedule(transaction, before.id, paused_at, now).await?;
            if let Some(row) = load_schedule(transaction, before.id).await? {
                spread_in_window(transaction, &row, now.max(row.run_at), now).await?;
            }
        }
        (Move::Resume, _) => resume_uncut_schedule(transaction, before.id, now).await?,
        (Move::Cancel, _) => cancel_schedule(transaction, before.id, now).await?,
        (Move::SendNow, _) if before.batch_count.is_none() => {
            send_uncut_now(transaction, before.id, now).await?
        }
        (Move::SendNow, _) => return send_held_now(transaction, before.id, now).await,
    }
    Ok(0)
}
