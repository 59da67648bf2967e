//! `POST /v1/schedules/{id}/resend`: a new schedule with the recipients of a finished one whose
//! messages did not arrive. A call copies for some seconds; repeated, it goes on where it ended.

pub mod copy;
pub mod request;
pub mod store;

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    platform::{
        fault::{self, Point},
        logs::context::name_schedule,
        queue::BatchMessage,
        traces::begin_schedule,
    },
    schedule::{row::load_schedule, status::ScheduleStatus},
};
use sqlx::MySqlConnection;
use tokio::time::Instant;
use uuid::Uuid;

use self::{
    copy::{Copied, copy_chunk},
    request::{ResendRequest, body_schema, new_schedule},
    store::{Resend, generation_of, insert_resend, newest_resend},
};
use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{body, error::ApiError, path::Path, problems, query::Query, transaction::transaction},
    openapi::{Operation, Takes},
    resources::{
        schedules::{
            arrange_dispatch::enqueue_deliveries,
            examples::shown,
            moves::arrange_begin,
            show::{ScheduleView, parse_id, read_view},
            state::conflict,
            store::{insert_schedule, lock_schedule},
        },
        senders::permitted::permit_sender,
    },
};

/// How long a call copies recipients. A gateway waits for 29 s.
const COPY_FOR: Duration = Duration::from_secs(10);
/// How often in a row a schedule may be sent again.
pub const MOST_GENERATIONS: u8 = 5;

/// The schedule that sends again.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ResentSchedule")]
pub struct Resent {
    #[serde(flatten)]
    schedule: ScheduleView,
    /// Whether its list is complete. If not, repeat the call: it is a draft until then.
    complete: bool,
    /// The last place of the list of the finished schedule that was examined so far.
    examined: u32,
}

/// Returns 201 with the new schedule, or 200 if an earlier call has made it.
pub async fn resend(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Response, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let body = body::read_optional_json(&request.0, request.1).await?;
    let request = ResendRequest::read(&body, app.db.now())?;
    let (new_id, is_new) = begin(&app, &caller, id, &request).await?;
    // The request is the beginning of the new schedule's path.
    name_schedule(new_id);
    if is_new {
        begin_schedule(new_id);
    }
    fault::reach(Point::Copied, whole_schedule(id)).await;
    let copied = copy(&app, &caller, id, new_id).await?;
    let app_ref = &app;
    let view = transaction(&app.db, |transaction| {
        Box::pin(read_view(app_ref, transaction, new_id))
    })
    .await?;
    enqueue_deliveries(&app, &copied.deliveries).await;
    if copied.is_started {
        arrange_begin(&app, &view).await;
    }
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let headers = [(header::LOCATION, format!("/v1/schedules/{new_id}"))];
    let answer = Resent {
        schedule: view,
        complete: copied.is_complete,
        examined: copied.examined,
    };
    Ok((status, headers, Json(answer)).into_response())
}

/// Finds the schedule that sends again, or inserts it as a draft without recipients. Returns its id,
/// and whether it is new. The lock of the finished schedule makes two calls at once find the same.
async fn begin(
    app: &App,
    caller: &Caller,
    id: Uuid,
    request: &ResendRequest,
) -> Result<(Uuid, bool), ApiError> {
    audited_transaction(&app.db, caller, |mut transaction| {
        Box::pin(async move {
            let locked = lock_schedule(&mut transaction, id)
                .await?
                .ok_or_else(ApiError::no_such_schedule)?;
            let known = newest_resend(&mut transaction, id).await?;
            if let Some(known) = known.filter(|known| known.status != ScheduleStatus::Cancelled) {
                return Ok(((known.schedule_id, false), None));
            }
            if locked.status != ScheduleStatus::Finished {
                let detail = format!(
                    "expected a schedule that is finished; this one is {}",
                    locked.status.as_str()
                );
                return Err(conflict(&problems::WRONG_STATE, &locked, detail));
            }
            let made = insert(app, &mut transaction, id, request, caller).await?;
            let before = json!({"resend_of": id});
            let after = json!({"statuses": request.statuses, "draft": request.is_draft});
            let change = Change::of_schedule("schedule.resend", made, before, after);
            Ok(((made, true), Some(change)))
        })
    })
    .await
}

async fn insert(
    app: &App,
    transaction: &mut MySqlConnection,
    id: Uuid,
    request: &ResendRequest,
    caller: &Caller,
) -> Result<Uuid, ApiError> {
    let generation = generation_of(transaction, id).await? + 1;
    if generation > MOST_GENERATIONS {
        let detail = format!(
            "expected a schedule that sends again for at most the {}th time",
            MOST_GENERATIONS - 1
        );
        return Err(ApiError::Refused(&problems::TOO_MANY_RESENDS, detail));
    }
    let counts = read_view(app, transaction, id).await?.counts;
    let is_empty = request
        .statuses
        .iter()
        .all(|status| counts.get(status).is_none_or(|count| *count == 0));
    if is_empty {
        return Err(nothing_to_resend());
    }
    let row = load_schedule(transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    if row.erased_to_seq.is_some() {
        let detail = "expected a schedule whose numbers and text are not erased yet".to_owned();
        return Err(ApiError::Refused(&problems::PERSONAL_DATA_ERASED, detail));
    }
    if let Some(sender) = &row.sender {
        permit_sender(transaction, caller, sender).await?;
    }
    let new = new_schedule(row, request, app.db.now(), &caller.actor())?;
    insert_schedule(transaction, &new).await?;
    let statuses: Vec<_> = request.statuses.iter().map(|kind| kind.as_str()).collect();
    let resend = Resend {
        schedule_id: new.id,
        resend_of: id,
        generation,
        statuses: statuses.join(","),
        is_draft: request.is_draft,
        next_seq: Some(1),
    };
    insert_resend(transaction, &resend).await?;
    Ok(new.id)
}

/// Copies recipients until all are copied, or the time of the call is over.
async fn copy(app: &App, caller: &Caller, resend_of: Uuid, id: Uuid) -> Result<Copied, ApiError> {
    let end = Instant::now() + COPY_FOR;
    let mut is_started = false;
    loop {
        let mut copied = copy_chunk(app, caller, id).await?;
        fault::reach(Point::Copied, whole_schedule(resend_of)).await;
        is_started |= copied.is_started;
        copied.is_started = is_started;
        if copied.is_empty {
            return Err(nothing_to_resend());
        }
        if copied.is_complete || Instant::now() >= end {
            return Ok(copied);
        }
    }
}

const fn whole_schedule(schedule_id: Uuid) -> BatchMessage {
    BatchMessage {
        schedule_id,
        batch_no: 0,
    }
}

fn nothing_to_resend() -> ApiError {
    let detail = "expected a recipient in one of the named states, who was not sent to again since";
    ApiError::Refused(&problems::NOTHING_TO_RESEND, detail.to_owned())
}

/// Describes [`resend`] in the OpenAPI document.
pub fn resend_doc() -> Operation {
    let example = json!({"statuses": ["UNDELIV", "EXPIRED"]});
    let more = json!({"complete": true, "examined": 2, "resend_of": "0190a0b0-c0d0-7080-8000-00000000000d"});
    Operation::new("resendSchedule", "schedules", "Send again to recipients of a finished schedule who got nothing")
        .text(
            "Makes a new schedule with the text, the rules and the names of this one, and with its recipients in one of `statuses`, with their variables, \
             references and groups. Repeated, the call returns the same schedule, so that nobody is sent to twice. A call copies for about 10 s: while \
             `complete` is false, repeat it. The new schedule can be sent again in its turn, five times in a row.",
        )
        .body(Takes::optional_json(body_schema(), example))
        .makes::<Resent>("The schedule that sends again.", shown("scheduled", more.clone()))
        .answers::<Resent>(200, "The schedule that an earlier call has made.", shown("scheduled", more))
        .problems(&["not-found", "wrong-state", "nothing-to-resend", "personal-data-erased", "too-many-resends", "daily-limit"])
}
