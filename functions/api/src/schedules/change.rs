//! `PATCH /v1/schedules/{id}`: another time for a schedule that has not begun. The lock on its row decides between this and the cut:
//! whoever comes second finds it changed. An event for the old time carries the old version, and finds nothing to do.

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::HeaderMap,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;
use shared::{
    db::{
        moves::change_time,
        schedules::{LockedSchedule, ScheduleStatus, lock_schedule},
    },
    patience::CLOCK_TOLERANCE,
    queue::DispatchMessage,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::{
    request::{self, Moment},
    show::{ScheduleView, parse_id, read_view},
    state::begun,
};
use crate::{
    App,
    announce::{announce, withdraw},
    auth::{Caller, caller::Change},
    error::ApiError,
    fields::Fields,
    intake::body,
    query::Query,
    transaction::{repeat, settle},
};

/// A changed schedule.
#[derive(Serialize)]
pub struct Changed {
    #[serde(flatten)]
    schedule: ScheduleView,
    /// Until when it surely has not begun; null for one that does not begin by itself.
    changeable_until: Option<DateTime<Utc>>,
}

/// 200 with the schedule.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<Changed>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let bytes = body::read_json(&request.0, request.1).await?;
    let mut fields = Fields::read(&bytes)?;
    let moment = request::run_at(&mut fields, app.db.now());
    let errors = fields.finish();
    let Some(moment) = moment.filter(|_| errors.is_empty()) else { return Err(ApiError::invalid(errors)) };
    let (before, schedule) = repeat(|| async {
        let mut transaction = app.db.pool.begin().await?;
        let changed = write(&app, &mut transaction, &caller, (id, &moment)).await;
        settle(transaction, changed).await
    })
    .await?;
    let scheduled = schedule.status == ScheduleStatus::Scheduled;
    if scheduled {
        withdraw(&app, DispatchMessage { schedule_id: id, version: before.version }).await;
        announce(&app, schedule.message(), moment.at).await;
    }
    let lead = TimeDelta::from_std(app.dispatch_lead).unwrap_or_default() + CLOCK_TOLERANCE;
    Ok(Json(Changed { schedule, changeable_until: scheduled.then(|| moment.at - lead) }))
}

async fn write(
    app: &App,
    transaction: &mut MySqlConnection,
    caller: &Caller,
    (id, moment): (Uuid, &Moment),
) -> Result<(LockedSchedule, ScheduleView), ApiError> {
    let before = lock_schedule(transaction, id).await?.ok_or_else(ApiError::no_such_schedule)?;
    let waits = matches!(before.status, ScheduleStatus::Draft | ScheduleStatus::Scheduled | ScheduleStatus::Paused);
    if !waits || before.batch_count.is_some() {
        return Err(begun(&before, "the time can be changed of what is draft or scheduled, or was paused before it began"));
    }
    change_time(transaction, id, (moment.at, &moment.offset)).await?;
    let view = read_view(app, transaction, id).await?;
    let (was, is) = (json!({"run_at": before.run_at}), json!({"run_at": view.run_at}));
    caller.record(transaction, app.db.now(), Change::of_schedule("schedule.change", id, was, is)).await?;
    Ok((before, view))
}
