//! `POST /v1/schedules/pause` and `/resume`: the same move for every schedule with a label, each in
//! a transaction of its own. A call that is repeated finds those that are left.

use std::time::Instant;

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::schedule::status::ScheduleStatus;
use uuid::Uuid;

use crate::{
    App, CALL_BUDGET,
    auth::Caller,
    http::{body, error::ApiError, query::Query},
    openapi::Operation,
    resources::schedules::{
        move_request::{Request, is_now, read_reason, takes_now, takes_reason},
        moves::{follow_pause, follow_resume, run_move},
        selected::{self, Selected},
        state::Move,
        store::{lists::ScheduleFilter, names::find_called},
    },
};

/// Schedules that one call moves at most.
const MOST: usize = 200;

/// The schedules that were moved.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "MovedSchedules")]
pub struct MovedSchedules {
    /// How many were moved.
    changed: usize,
    /// Their ids, the newest first.
    schedules: Vec<Uuid>,
    /// Those that could not be moved, each with the reason.
    left: Vec<NotMoved>,
    /// Whether there are more than one call can move; if so, repeat the call.
    more: bool,
}

/// A schedule that was not moved.
#[derive(Debug, JsonSchema, Serialize)]
struct NotMoved {
    schedule_id: Uuid,
    /// What was expected of it.
    detail: String,
}

/// A move of all schedules that are selected.
struct BulkMove {
    selected: Selected,
    /// The states that it moves from.
    from: &'static [ScheduleStatus],
    step: Move,
    reason: Option<String>,
}

/// Pauses all schedules that are scheduled or running, and returns 200 with their ids.
pub async fn pause_all(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
    (headers, body): (HeaderMap, Body),
) -> Result<Json<MovedSchedules>, ApiError> {
    let selected = select(&mut query);
    query.finish()?;
    let reason = read_reason(&body::read_optional_json(&headers, body).await?)?;
    let bulk = BulkMove {
        selected,
        from: &[ScheduleStatus::Scheduled, ScheduleStatus::Running],
        step: Move::Pause,
        reason,
    };
    move_all(&app, &caller, bulk).await.map(Json)
}

/// Resumes all schedules that are paused, and returns 200 with their ids.
pub async fn resume_all(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
    (headers, body): (HeaderMap, Body),
) -> Result<Json<MovedSchedules>, ApiError> {
    let selected = select(&mut query);
    query.finish()?;
    let now = is_now(&body::read_optional_json(&headers, body).await?)?;
    let bulk = BulkMove {
        selected,
        from: &[ScheduleStatus::Paused],
        step: Move::Resume { now },
        reason: None,
    };
    move_all(&app, &caller, bulk).await.map(Json)
}

/// Reads what selects the schedules. Nothing selects all: that is what the brake is for.
fn select(query: &mut Query) -> Selected {
    let selected = Selected::read_exact(query);
    if selected.called().label.is_none() {
        query.complain("label", "missing", "expected a label");
    }
    selected
}

async fn move_all(app: &App, caller: &Caller, bulk: BulkMove) -> Result<MovedSchedules, ApiError> {
    let started = Instant::now();
    let mut moved = MovedSchedules::default();
    for id in find(app, &bulk).await? {
        if moved.changed + moved.left.len() == MOST || started.elapsed() > CALL_BUDGET {
            moved.more = true;
            break;
        }
        let request = Request {
            id,
            step: bulk.step,
            reason: bulk.reason.clone(),
        };
        match run_move(app, caller, request).await {
            Ok(done) => {
                match bulk.step {
                    Move::Pause => follow_pause(app, &done).await,
                    _ => follow_resume(app, &done).await,
                }
                moved.changed += 1;
                moved.schedules.push(id);
            }
            // It has changed since it was found, or its time has passed.
            Err(ApiError::Conflict(conflict)) => moved.left.push(NotMoved {
                schedule_id: id,
                detail: conflict.detail,
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

async fn find(app: &App, bulk: &BulkMove) -> Result<Vec<Uuid>, ApiError> {
    let mut connection = app.db.acquire().await?;
    let mut found = Vec::new();
    for status in bulk.from {
        let filter = ScheduleFilter {
            status: Some(*status),
            ..ScheduleFilter::default()
        };
        let positions = find_called(&mut connection, bulk.selected.called(), filter).await?;
        found.extend(positions.into_iter().map(|position| position.id));
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    Ok(found)
}

fn answer_example(left: &serde_json::Value) -> serde_json::Value {
    json!({"changed": 1, "schedules": ["0190a0b0-c0d0-7080-8000-00000000000f"], "left": left, "more": false})
}

/// Describes `POST /v1/schedules/pause` in the OpenAPI document.
pub fn pause_all_doc() -> Operation {
    Operation::new("pauseSchedules", "schedules", "Pause all schedules with a label")
        .text(
            "Pauses those that are scheduled or running, at most 200 per call; `more`: repeat the call. It needs a `label`, a `reference`, or both. Each              is paused as by the call for one schedule.",
        )
        .required_query("label", selected::schema(), "Only schedules with this label.")
        .queries([selected::reference_parameter()])
        .body(takes_reason())
        .answers::<MovedSchedules>(200, "The schedules that were paused.", answer_example(&json!([])))
}

/// Describes `POST /v1/schedules/resume` in the OpenAPI document.
pub fn resume_all_doc() -> Operation {
    let left = json!([{"schedule_id": "0190a0b0-c0d0-7080-8000-00000000000e", "detail": "its start has passed during the pause"}]);
    Operation::new(
        "resumeSchedules",
        "schedules",
        "Resume all schedules with a label",
    )
    .text(
        "Resumes those that are paused, at most 200 per call; `more`: repeat the call. Those whose \
             start has passed are left, unless `now` is true.",
    )
    .required_query(
        "label",
        selected::schema(),
        "Only schedules with this label.",
    )
    .queries([selected::reference_parameter()])
    .body(takes_now())
    .answers::<MovedSchedules>(
        200,
        "The schedules that were resumed.",
        answer_example(&left),
    )
}
