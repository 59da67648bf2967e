//! `PATCH /v1/schedules/{id}`: changes the time, text, rate or policy of a schedule that has not
//! begun, or the rate of one that runs. The lock on its row decides between this call and the cut:
//! the second of them finds the row changed. An event for the old time carries the old version, and
//! finds nothing to do.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    platform::{backoff::CLOCK_TOLERANCE, queue::DispatchMessage},
    schedule::{row::load_schedule, status::ScheduleStatus},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{body, error::ApiError, path::Path, query::Query},
    lists::AcceptedVariables,
    openapi::{Operation, Takes, parameters::AHEAD},
    resources::schedules::{
        arrange_dispatch::{arrange_dispatch, cancel_dispatch, request_sweep},
        edit::{ScheduleEdit, edit_schema},
        examples::shown,
        show::{ScheduleView, parse_id, read_view},
        state::begun,
        store::{
            LockedSchedule, lock_schedule,
            moves::{change_rate, change_schedule, spread_in_window},
        },
        texts::most_parts,
    },
};

/// A changed schedule.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ChangedSchedule")]
pub struct Changed {
    #[serde(flatten)]
    schedule: ScheduleView,
    /// Until this time the schedule has certainly not begun. Null if it does not begin by itself,
    /// or has begun.
    changeable_until: Option<DateTime<Utc>>,
}

/// Returns 200 with the schedule.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<Changed>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let edit = ScheduleEdit::read(&body::read_json(&request.0, request.1).await?, app.db.now())?;
    let (app, changes) = (&app, &edit);
    let (before, schedule) = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move { write(app, &mut transaction, id, changes).await })
    })
    .await?;
    let scheduled = schedule.status == ScheduleStatus::Scheduled;
    let run_at = schedule.run_at.to_utc();
    if before.batch_count.is_some() {
        request_sweep(app).await;
    } else if scheduled && edit.run_at.is_some() {
        let old_time = DispatchMessage {
            schedule_id: id,
            version: before.version,
        };
        cancel_dispatch(app, old_time).await;
        arrange_dispatch(app, schedule.message(), run_at).await;
    }
    let lead = TimeDelta::from_std(app.dispatch_lead).unwrap_or_default() + CLOCK_TOLERANCE;
    Ok(Json(Changed {
        schedule,
        changeable_until: scheduled.then(|| run_at - lead),
    }))
}

/// Describes `PATCH /v1/schedules/{id}` in the OpenAPI document.
pub fn change_doc() -> Operation {
    let body = Takes::json_with(
        edit_schema(),
        vec![
            ("time", json!({"run_at": AHEAD})),
            ("rate", json!({"rate": null})),
        ],
    );
    let changed = shown(
        "scheduled",
        json!({"changeable_until": "2027-01-31T00:58:20Z"}),
    );
    Operation::new("changeSchedule", "schedules", "Change the time, text, rate or policy")
        .text(
            "A field that is left out stays as it is; null removes `sender`, `rate` or `window`. If the schedule runs, or was paused while it ran, \
             only `rate` can be changed: batches that were not tried yet are spread over the time from now on.",
        )
        .body(body)
        .answers::<Changed>(200, "The schedule, and the time until which it has certainly not begun.", changed)
        .problems(&["not-found", "schedule-begun"])
}

async fn write(
    app: &App,
    transaction: &mut MySqlConnection,
    id: Uuid,
    edit: &ScheduleEdit,
) -> Result<((LockedSchedule, ScheduleView), Change<'static>), ApiError> {
    use ScheduleStatus::{Draft, Paused, Running, Scheduled};
    let before = lock_schedule(transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    let mut row = load_schedule(transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    let fields_before = edit.changed_fields(&row);
    edit.apply(&mut row);
    match (before.status, before.batch_count) {
        (Draft | Scheduled | Paused, None) => {
            if let (true, AcceptedVariables::Of(template)) =
                (edit.message.is_some(), AcceptedVariables::of(&row.message)?)
            {
                row.parts = most_parts(transaction, id, &template).await?;
            }
            change_schedule(transaction, &row, edit.run_at.is_some()).await?;
        }
        (Running | Paused, Some(_)) if !edit.changes_more_than_rate() => {
            // Resuming moves a paused schedule by the length of the pause, so the batches are
            // spread from the beginning of the pause. No batch moves ahead of the schedule's time,
            // because the schedule is cut some time before it.
            let from = before
                .paused_at
                .unwrap_or_else(|| app.db.now())
                .max(before.run_at);
            change_rate(transaction, id, row.rate, from, app.db.now()).await?;
            spread_in_window(transaction, &row, from).await?;
        }
        _ => {
            return Err(begun(
                &before,
                "expected a schedule that has not begun; if it has begun, only the rate can be changed",
            ));
        }
    }
    let fields_after = edit.changed_fields(&row);
    let view = read_view(app, transaction, id).await?;
    Ok((
        (before, view),
        Change::of_schedule("schedule.change", id, fields_before, fields_after),
    ))
}
