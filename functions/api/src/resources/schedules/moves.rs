//! `POST /v1/schedules/{id}/activate`, `/pause`, `/resume`, `/cancel`, `/send-now`: the lifecycle
//! of a schedule. A call that comes too late changes nothing and returns what is possible. A pause
//! and a cancel that are repeated succeed, and change nothing. A move takes effect at a batch's next mark, inside a batch too.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    platform::queue::DeliveryMessage,
    schedule::{event::record_event, row::load_schedule, start::Start, status::ScheduleStatus},
};
use sqlx::MySqlConnection;

use crate::{
    App,
    auth::{Caller, caller::Change},
    http::{body, error::ApiError, path::Path, problems, query::Query, transaction::transaction},
    openapi::Operation,
    resources::schedules::{
        approval::{self, Step},
        arrange_dispatch::{
            arrange_dispatch, cancel_dispatch, dispatch_now, enqueue_deliveries, request_sweep,
        },
        budget::{StartTimes, refuse_beyond},
        canary::release_failed,
        examples::shown,
        move_request::{Request, is_now, takes_now, takes_reason},
        resend::store::is_incomplete,
        show::{ScheduleView, parse_id, read_view},
        state::{Move, allow, conflict},
        store::{
            LockedSchedule, lock_schedule,
            moves::{
                Pause, activate_schedule, cancel_schedule, pause_schedule, resume_cut_schedule,
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
    /// The number of held batches that are due now; 0 if the schedule had not been cut, which
    /// happens now.
    batches: u64,
}

/// The effect of a move.
pub(super) struct Moved {
    before: LockedSchedule,
    view: ScheduleView,
    batches: u64,
    /// The deliveries of the event to webhooks.
    deliveries: Vec<DeliveryMessage>,
}

/// Moves draft → scheduled. Requires recipients and a time in the future.
pub async fn activate(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let request = Request::new(parse_id(&id)?, Move::Activate);
    let Moved { view, .. } = run_move(&app, &caller, request).await?;
    arrange_begin(&app, &view).await;
    Ok(Json(view))
}

/// Arranges the dispatch of a schedule that is scheduled now. One that waits for an approval is
/// dispatched after it.
pub(super) async fn arrange_begin(app: &App, view: &ScheduleView) {
    if view.status == ScheduleStatus::Scheduled {
        arrange_dispatch(app, view.message(), view.starts_at()).await;
    }
}

/// Moves scheduled or running → paused. Messages that were sent are still checked.
pub async fn pause(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    body: (HeaderMap, Body),
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let request = Request::with_reason(&id, Move::Pause, body).await?;
    let moved = run_move(&app, &caller, request).await?;
    follow_pause(&app, &moved).await;
    Ok(Json(moved.view))
}

/// Removes the dispatch of a schedule that was paused before it began.
pub(super) async fn follow_pause(app: &App, moved: &Moved) {
    if moved.before.status == ScheduleStatus::Scheduled {
        cancel_dispatch(app, moved.view.message()).await;
    }
}

/// Moves paused → running, or → scheduled if it had not been cut. If it had, the length of the pause
/// is added to the planned times. If it had not, its time stays, unless its start has passed: then it becomes
/// now, if the caller says so.
pub async fn resume(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let now = is_now(&body::read_optional_json(&request.0, request.1).await?)?;
    let request = Request::new(parse_id(&id)?, Move::Resume { now });
    let moved = run_move(&app, &caller, request).await?;
    follow_resume(&app, &moved).await;
    Ok(Json(moved.view))
}

/// Makes the dispatch of a schedule that goes on before it has begun; else its batches are found.
pub(super) async fn follow_resume(app: &App, moved: &Moved) {
    if moved.before.batch_count.is_none() {
        arrange_begin(app, &moved.view).await;
    } else {
        request_sweep(app).await;
    }
}

/// Moves any schedule that has not ended → cancelled. Workers close the messages that were not
/// sent.
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    body: (HeaderMap, Body),
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let request = Request::with_reason(&id, Move::Cancel, body).await?;
    let Moved {
        before,
        view: schedule,
        ..
    } = run_move(&app, &caller, request).await?;
    if before.status == ScheduleStatus::Scheduled {
        cancel_dispatch(&app, schedule.message()).await;
    }
    if before.batch_count.is_none() {
        dispatch_now(&app, schedule.message()).await;
    } else {
        request_sweep(&app).await;
    }
    Ok(Json(schedule))
}

/// Makes messages that were found too late due now: those of a missed schedule, or those of missed
/// batches.
pub async fn send_now(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Restarted>, ApiError> {
    query.finish()?;
    let request = Request::new(parse_id(&id)?, Move::SendNow);
    let Moved {
        before,
        view: schedule,
        batches,
        ..
    } = run_move(&app, &caller, request).await?;
    if before.batch_count.is_none() {
        arrange_begin(&app, &schedule).await;
    } else {
        request_sweep(&app).await;
    }
    Ok(Json(Restarted { schedule, batches }))
}

/// Describes `POST /v1/schedules/{id}/activate` in the OpenAPI document.
pub fn activate_doc() -> Operation {
    Operation::new(
        "activateSchedule",
        "schedules",
        "Turn a draft into a scheduled one",
    )
    .text("Requires recipients and a time in the future.")
    .answers::<ScheduleView>(200, "The schedule.", shown("scheduled", json!({})))
    .problems(&[
        "not-found",
        "wrong-state",
        "no-recipients",
        "run-at-past",
        "budget-exceeded",
    ])
}

/// Describes `POST /v1/schedules/{id}/pause` in the OpenAPI document.
pub fn pause_doc() -> Operation {
    Operation::new("pauseSchedule", "schedules", "Pause a schedule")
        .text(
            "Requires a schedule that is scheduled or running. Takes effect at the next request to the carrier. Messages that were sent are still \
             checked. A call for a schedule that is paused already changes nothing.",
        )
        .body(takes_reason())
        .answers::<ScheduleView>(200, "The schedule.", shown("paused", json!({})))
        .problems(&["not-found", "wrong-state"])
}

/// Describes `POST /v1/schedules/{id}/resume` in the OpenAPI document.
pub fn resume_doc() -> Operation {
    Operation::new("resumeSchedule", "schedules", "Resume a schedule")
        .text(
            "If it had begun, the planned times of messages that were not sent move by the length of the pause. If it had not, its `run_at` stays; if its \
             start has passed (`run_at`, or the opening of its window), the call needs `{\"now\": true}`, or a new `run_at` before it.",
        )
        .body(takes_now())
        .answers::<ScheduleView>(200, "The schedule.", shown("scheduled", json!({})))
        .problems(&["not-found", "wrong-state", "run-at-past"])
}

/// Describes `POST /v1/schedules/{id}/cancel` in the OpenAPI document.
pub fn cancel_doc() -> Operation {
    Operation::new("cancelSchedule", "schedules", "Cancel a schedule")
        .text(
            "Requires a schedule that has not ended. Messages that were not sent are closed; `already_sent` is the number of messages that had gone \
             out or were just going out. A call for a schedule that is cancelled already changes nothing.",
        )
        .body(takes_reason())
        .answers::<ScheduleView>(200, "The schedule.", shown("cancelled", json!({})))
        .problems(&["not-found", "wrong-state"])
}

/// Describes `POST /v1/schedules/{id}/send-now` in the OpenAPI document.
pub fn send_now_doc() -> Operation {
    Operation::new(
        "sendScheduleNow",
        "schedules",
        "Send messages that were found too late",
    )
    .text("Requires a schedule that was missed, in whole or in part. Sends as fast as the carrier accepts.")
    .answers::<Restarted>(
        200,
        "The schedule.",
        shown("running", json!({"batches": 1})),
    )
    .problems(&["not-found", "wrong-state", "nothing-missed"])
}

/// Makes the move, and enqueues its event for webhooks.
pub(super) async fn run_move(
    app: &App,
    caller: &Caller,
    request: Request,
) -> Result<Moved, ApiError> {
    let request = &request;
    let moved = transaction(&app.db, |transaction| {
        Box::pin(write_move(app, transaction, caller, request))
    })
    .await?;
    enqueue_deliveries(app, &moved.deliveries).await;
    Ok(moved)
}

async fn write_move(
    app: &App,
    transaction: &mut MySqlConnection,
    caller: &Caller,
    request: &Request,
) -> Result<Moved, ApiError> {
    let (id, step) = (request.id, request.step);
    let before = lock_schedule(transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    if step.is_done(before.status) {
        return Ok(Moved {
            view: read_view(app, transaction, id).await?,
            before,
            batches: 0,
            deliveries: Vec::new(),
        });
    }
    allow(&before, step, app.db.now())?;
    if step == Move::Activate && is_incomplete(transaction, id).await? {
        let detail = "its list is not complete: repeat the resend that has made it until it is";
        return Err(conflict(&problems::WRONG_STATE, &before, detail.to_owned()));
    }
    if step == Move::Activate {
        let (start, now) = (before.start().at(), app.db.now());
        refuse_beyond(transaction, id, StartTimes { start, now }).await?;
    }
    let batches = write_status(app, transaction, &before, request).await?;
    if step == Move::SendNow && before.batch_count.is_some() && batches == 0 {
        let detail = "expected a schedule with missed batches; this one has none".to_owned();
        return Err(conflict(&problems::NOTHING_MISSED, &before, detail));
    }
    let mut deliveries = Vec::new();
    if before.batch_count.is_none() && step.begins() {
        deliveries = approval::follow(app, transaction, caller, id, Step::Begin).await?;
    }
    let view = read_view(app, transaction, id).await?;
    let state_before =
        json!({"status": before.status, "version": before.version, "run_at": before.run_at});
    let mut state_after = json!({"status": view.status, "version": view.version, "run_at": view.run_at, "counts": view.counts, "batches": batches});
    if let Some(reason) = &request.reason {
        state_after["reason"] = json!(reason);
    }
    caller
        .record(
            transaction,
            app.db.now(),
            Change::of_schedule(step.action(), id, state_before, state_after),
        )
        .await?;
    if let Some(event) = step.event() {
        deliveries.extend(record_event(transaction, event, id, app.db.now()).await?);
    }
    Ok(Moved {
        before,
        view,
        batches,
        deliveries,
    })
}

/// Writes the move. Returns how many held batches were released.
async fn write_status(
    app: &App,
    transaction: &mut MySqlConnection,
    before: &LockedSchedule,
    request: &Request,
) -> sqlx::Result<u64> {
    let (now, reason) = (app.db.now(), request.reason.as_deref());
    match (request.step, before.paused_at) {
        (Move::Activate, _) => activate_schedule(transaction, before.id).await?,
        (Move::Pause, _) => pause_schedule(transaction, before.id, reason, now).await?,
        (Move::Resume { .. }, Some(paused_at)) if before.batch_count.is_some() => {
            let from = now.max(before.run_at);
            let pause = Pause {
                paused_at,
                now,
                from,
            };
            release_failed(transaction, before.id).await?;
            resume_cut_schedule(transaction, before.id, pause).await?;
            if let Some(row) = load_schedule(transaction, before.id).await? {
                spread_in_window(transaction, &row, from).await?;
            }
        }
        (Move::Resume { .. }, _) => {
            let start = before.start().now_if_passed(now);
            resume_uncut_schedule(transaction, before.id, start).await?;
        }
        (Move::Cancel, _) => cancel_schedule(transaction, before.id, reason, now).await?,
        (Move::SendNow, _) if before.batch_count.is_none() => {
            let start = Start {
                run_at: now,
                ..before.start()
            };
            send_uncut_now(transaction, before.id, start).await?;
        }
        (Move::SendNow, _) => return send_held_now(transaction, before.id, now).await,
    }
    Ok(0)
}
