//! `PATCH /v1/schedules/{id}`: changes the time, text, rate or policy of a schedule that has not
//! begun, also while it waits for its window, or the rate, the priority or the end of one that runs. The lock on its row decides between this call and the cut:
//! the second of them finds the row changed. An event for the old time carries the old version, and
//! finds nothing to do.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use chrono::{DateTime, Utc};
use serde_json::json;
use shared::{
    platform::queue::{DeliveryMessage, DispatchMessage},
    schedule::{
        row::{Schedule, load_schedule},
        start::Start,
        status::ScheduleStatus,
    },
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{body, error::ApiError, path::Path, problems, query::Query},
    lists::AcceptedVariables,
    openapi::{Operation, Takes, parameters::AHEAD},
    resources::{
        schedules::{
            approval::{self, Step},
            arrange_dispatch::{
                arrange_dispatch, cancel_dispatch, enqueue_deliveries, request_sweep,
            },
            callback,
            callback_webhook::find_or_create,
            canary::write_canary,
            edit::{ScheduleEdit, edit_schema, end_of},
            examples::shown,
            priority,
            show::{ScheduleView, parse_id, read_view},
            state::{begun, conflict},
            store::{
                LockedSchedule,
                callbacks::write_callback,
                change_priority_and_end, lock_schedule,
                moves::{change_rate, change_schedule, spread_in_window},
                names::write_names,
            },
            texts::most_parts,
        },
        senders::permitted::permit_sender,
    },
};

/// Returns 200 with the schedule.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let body = body::read_json(&request.0, request.1).await?;
    let edit = ScheduleEdit::read(&body, app.webhook_targets, app.db.now())?;
    priority::allow(&caller, edit.priority.flatten().unwrap_or_default())?;
    if let Some(Some(sender)) = &edit.sender {
        permit_sender(&mut *app.db.acquire().await?, &caller, sender).await?;
    }
    let callback_id = find_callback(&app, &caller, id, &edit).await?;
    let (app, by, changes) = (&app, &caller, &edit);
    let written = audited_transaction(&app.db, by, |mut transaction| {
        Box::pin(async move { write(app, &mut transaction, by, id, changes, callback_id).await })
    });
    let Changed {
        before,
        view: schedule,
        deliveries,
    } = written.await?;
    enqueue_deliveries(app, &deliveries).await;
    let scheduled = schedule.status == ScheduleStatus::Scheduled;
    if edit.is_only_names() {
        // Nothing is to be sent at another time.
    } else if before.batch_count.is_some() {
        request_sweep(app).await;
    } else if schedule.status != before.status {
        // It waits for an approval.
        let message = DispatchMessage {
            schedule_id: id,
            version: before.version,
        };
        cancel_dispatch(app, message).await;
    } else if scheduled && schedule.version != before.version {
        let old_time = DispatchMessage {
            schedule_id: id,
            version: before.version,
        };
        cancel_dispatch(app, old_time).await;
        arrange_dispatch(app, schedule.message(), schedule.starts_at()).await;
    }
    Ok(Json(schedule))
}

/// Describes `PATCH /v1/schedules/{id}` in the OpenAPI document.
pub fn change_doc() -> Operation {
    let body = Takes::json_with(
        edit_schema(),
        vec![
            ("time", json!({"run_at": AHEAD})),
            ("rate", json!({"rate": null})),
            (
                "urgent",
                json!({"priority": "high", "send_within_s": 3_600}),
            ),
            ("labels", json!({"labels": ["parcels", "north"]})),
        ],
    );
    Operation::new("changeSchedule", "schedules", "Change the time, text, rate or policy")
        .text(
            "A field that is left out stays as it is; null removes `sender`, `rate`, `window`, `callback_url`, `send_until` or `send_within_s`, and lets \
             `priority` follow from the number of recipients. If the schedule runs, or was paused while it ran, only `rate`, `priority`, `send_until` and \
             `send_within_s` can be changed: with a new rate, batches that were not tried yet are spread over the time from now on. An end that has \
             passed cannot be changed. `name`, `reference`, `labels` and `callback_url` can be changed in every state.",
        )
        .body(body)
        .answers::<ScheduleView>(200, "The schedule.", shown("scheduled", json!({})))
        .problems(&["not-found", "schedule-begun", "send-until-past", "too-many-webhooks", "webhook-disabled"])
}

/// Returns the webhook of the new callback, if any. Fails if the caller may not choose one for this
/// schedule, whose creator never changes.
async fn find_callback(
    app: &App,
    caller: &Caller,
    id: Uuid,
    edit: &ScheduleEdit,
) -> Result<Option<Uuid>, ApiError> {
    let Some(callback_url) = &edit.callback_url else {
        return Ok(None);
    };
    let row = load_schedule(&mut *app.db.acquire().await?, id).await?;
    let row = row.ok_or_else(ApiError::no_such_schedule)?;
    callback::allow(caller, row.created_by.as_deref())?;
    match callback_url {
        Some(url) => find_or_create(app, caller, url).await.map(Some),
        None => Ok(None),
    }
}

/// The effect of a change.
struct Changed {
    before: LockedSchedule,
    view: ScheduleView,
    /// The deliveries of the event that the schedule waits for an approval.
    deliveries: Vec<DeliveryMessage>,
}

/// Returns whether the end `after` a change lets more be sent than the one `before` it.
fn is_later(after: Option<DateTime<Utc>>, before: Option<DateTime<Utc>>) -> bool {
    before.is_some_and(|before| after.is_none_or(|after| after > before))
}

async fn write(
    app: &App,
    transaction: &mut MySqlConnection,
    caller: &Caller,
    id: Uuid,
    edit: &ScheduleEdit,
    callback_id: Option<Uuid>,
) -> Result<(Changed, Change<'static>), ApiError> {
    use ScheduleStatus::{AwaitingApproval, Draft, Paused, Running, Scheduled};
    let before = lock_schedule(transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    let mut row = load_schedule(transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    let end_before = end_of(&row).at(row.run_at);
    let moved = edit.moved_to_now(&row, app.db.now());
    let edit = moved.as_ref().unwrap_or(edit);
    let fields_before = edit.changed_fields(&row);
    edit.apply(&mut row, app.capacity.bulk_above());
    edit.check_end(&row, app.db.now())?;
    let start_changed = edit.run_at.is_some() || Start::of(&row).at() != before.start().at();
    match (before.status, before.batch_count) {
        // What it is called can be changed in every state.
        _ if edit.is_only_names() => {}
        (Draft | AwaitingApproval | Scheduled | Paused, None) => {
            if let (true, AcceptedVariables::Of(template)) =
                (edit.message.is_some(), AcceptedVariables::of(&row.message)?)
            {
                row.parts = most_parts(transaction, id, &template).await?;
            }
            change_schedule(transaction, &row, start_changed).await?;
            if let Some(canary) = &edit.canary {
                write_canary(transaction, id, canary.as_ref()).await?;
            }
        }
        (Running | Paused, Some(_)) if !edit.requires_unbegun() => {
            let passed = end_before.filter(|end| *end <= app.db.now());
            if let Some(end) = passed.filter(|_| edit.end.is_given()) {
                return Err(end_passed(&before, end));
            }
            let end = end_of(&row).at(row.run_at);
            if edit.end.is_given() && is_later(end, end_before) {
                approval::refuse_begun(app, transaction, caller, &before).await?;
            }
            if edit.rate.is_some() {
                respread(app, transaction, &before, &row).await?;
            }
        }
        _ => {
            return Err(begun(
                &before,
                "expected a schedule that has not begun; if it has begun, only the rate, the priority and the end can be changed",
            ));
        }
    }
    if edit.changes_priority_or_end() {
        change_priority_and_end(transaction, &row).await?;
    }
    if edit.names.is_given() {
        let (name, reference) = (row.name.as_deref(), row.reference.as_deref());
        write_names(transaction, id, name, reference, row.labels.as_deref()).await?;
    }
    if edit.callback_url.is_some() {
        row.callback_id = callback_id;
        write_callback(transaction, id, callback_id).await?;
    }
    let mut deliveries = Vec::new();
    if before.batch_count.is_none() && !edit.is_only_names() {
        deliveries = approval::follow(app, transaction, caller, id, Step::Terms).await?;
    }
    let fields_after = edit.changed_fields(&row);
    let view = read_view(app, transaction, id).await?;
    Ok((
        Changed {
            before,
            view,
            deliveries,
        },
        Change::of_schedule("schedule.change", id, fields_before, fields_after),
    ))
}

/// Returns 409: the schedule has reached its end, and messages may have ended EXPIRED already.
fn end_passed(schedule: &LockedSchedule, end: DateTime<Utc>) -> ApiError {
    let end = end.format("%FT%TZ");
    let detail =
        format!("expected a schedule whose end is in the future; this one was sent until {end}");
    conflict(&problems::SEND_UNTIL_PAST, schedule, detail)
}

/// Spreads the batches of a schedule that has begun by its new rate.
async fn respread(
    app: &App,
    transaction: &mut MySqlConnection,
    before: &LockedSchedule,
    row: &Schedule,
) -> sqlx::Result<()> {
    // Resuming moves a paused schedule by the length of the pause, so the batches are spread from
    // the beginning of the pause. No batch moves ahead of the schedule's time, because the schedule
    // is cut some time before it.
    let from = before
        .paused_at
        .unwrap_or_else(|| app.db.now())
        .max(before.run_at);
    change_rate(transaction, row.id, row.rate, from, app.db.now()).await?;
    spread_in_window(transaction, row, from).await
}
