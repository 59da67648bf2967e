//! `POST /v1/schedules/{id}/approve` and `/reject`: the decision of a second person. The lock of the
//! schedule's row decides between it and a change at the same time: the second of them finds another
//! content, or another state.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use serde_json::json;
use shared::{
    events::EventType,
    platform::{queue::DeliveryMessage, secret},
    schedule::{
        event::record_event,
        row::{Schedule, load_schedule},
        status::ScheduleStatus,
    },
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::{
    content::hash_of,
    show::may_decide,
    store::{self, Approved, HASH_BYTES, authors, read_approval},
};
use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{body, error::ApiError, fields::Fields, path::Path, problems, query::Query},
    openapi::{Operation, Takes, operation::object},
    resources::schedules::{
        arrange_dispatch::{arrange_dispatch, enqueue_deliveries},
        examples::shown,
        move_request::{read_reason, reason_schema},
        show::{ScheduleView, parse_id, read_view},
        state::conflict,
        store::{LockedSchedule, lock_schedule},
    },
};

/// The body of an approval.
struct ApproveRequest {
    hash: String,
    /// A start that has passed becomes now.
    now: bool,
}

impl ApproveRequest {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let hash = fields.text("hash");
        fields.require("hash", "the hash of what is approved");
        let is_hash = |hash: &str| {
            hash.len() == 2 * HASH_BYTES && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if hash.as_deref().is_some_and(|hash| !is_hash(hash)) {
            fields.complain("hash", "not-a-hash", "expected 64 hexadecimal digits");
        }
        let now = fields.read_as("now", "true or false").unwrap_or(false);
        let errors = fields.finish();
        match hash {
            Some(hash) if errors.is_empty() => Ok(Self {
                hash: hash.to_ascii_lowercase(),
                now,
            }),
            _ => Err(ApiError::invalid(errors)),
        }
    }
}

/// What a decision has made.
struct Decided {
    view: ScheduleView,
    deliveries: Vec<DeliveryMessage>,
}

/// Approves a schedule, which then waits for its time. Returns 200 with it.
pub async fn approve(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let request = ApproveRequest::read(&body::read_small_json(&request.0, request.1).await?)?;
    let (app, by, wanted) = (&app, &caller, &request);
    let decided = audited_transaction(&app.db, by, |mut transaction| {
        Box::pin(async move { write_approval(app, &mut transaction, by, id, wanted).await })
    });
    let Decided { view, deliveries } = decided.await?;
    enqueue_deliveries(app, &deliveries).await;
    arrange_dispatch(app, view.message(), view.starts_at()).await;
    Ok(Json(view))
}

/// Rejects a schedule, which is a draft again. Returns 200 with it.
pub async fn reject(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    (headers, body): (HeaderMap, Body),
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let body = body::read_small_json(&headers, body).await?;
    let mut fields = Fields::read(&body)?;
    fields.text("reason");
    fields.require("reason", "why it is rejected");
    let errors = fields.finish();
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    let reason = read_reason(&body)?.unwrap_or_default();
    let (app, by, reason) = (&app, &caller, reason.as_str());
    let decided = audited_transaction(&app.db, by, |mut transaction| {
        Box::pin(async move { write_rejection(app, &mut transaction, by, id, reason).await })
    });
    let Decided { view, deliveries } = decided.await?;
    enqueue_deliveries(app, &deliveries).await;
    Ok(Json(view))
}

/// Locks a schedule that waits for an approval, and reads its row.
async fn lock_waiting(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> Result<(LockedSchedule, Schedule), ApiError> {
    let locked = lock_schedule(connection, id).await?;
    let locked = locked.ok_or_else(ApiError::no_such_schedule)?;
    if locked.status != ScheduleStatus::AwaitingApproval {
        let detail = format!(
            "expected a schedule that waits for an approval; this one is {}",
            locked.status.as_str()
        );
        return Err(conflict(&problems::WRONG_STATE, &locked, detail));
    }
    let row = load_schedule(connection, id).await?;
    Ok((locked, row.ok_or_else(ApiError::no_such_schedule)?))
}

async fn write_approval(
    app: &App,
    connection: &mut MySqlConnection,
    caller: &Caller,
    id: Uuid,
    request: &ApproveRequest,
) -> Result<(Decided, Change<'static>), ApiError> {
    let now = app.db.now();
    let (locked, mut row) = lock_waiting(connection, id).await?;
    if !may_decide(caller, &authors(connection, id).await?) {
        let detail = "expected a person who has neither created nor changed the schedule";
        return Err(ApiError::Refused(
            &problems::OWN_APPROVAL,
            detail.to_owned(),
        ));
    }
    let approval = read_approval(connection, id).await?;
    let (approval, _) = approval.ok_or_else(ApiError::no_such_schedule)?;
    let hash = hash_of(connection, &row, &approval).await?;
    if hash.as_deref().map(secret::to_hex).as_deref() != Some(&request.hash) {
        let detail = "the text, the times or the list have changed since; nothing is approved";
        let problem = &problems::APPROVAL_HASH_DIFFERS;
        return Err(ApiError::Refused(problem, detail.to_owned()));
    }
    if !request.now && locked.start().at() <= now {
        let detail =
            "its start has passed: approve it with {\"now\": true}, or set a new run_at first";
        return Err(conflict(&problems::RUN_AT_PAST, &locked, detail.to_owned()));
    }
    let start = locked.start().now_if_passed(now);
    row.run_at = start.run_at;
    let hash = hash_of(connection, &row, &approval).await?;
    let hash = hash.unwrap_or_default();
    let by = caller.actor();
    let approved = Approved {
        hash: &hash,
        by: &by,
        at: now,
    };
    store::approve(connection, id, start, &approved).await?;
    let deliveries = record_event(connection, EventType::ScheduleApproved, id, now).await?;
    let view = read_view(app, connection, id).await?;
    let before = json!({"status": locked.status, "run_at": locked.run_at});
    let after =
        json!({"status": view.status, "run_at": view.run_at, "hash": secret::to_hex(&hash)});
    let change = Change::of_schedule("schedule.approve", id, before, after);
    Ok((Decided { view, deliveries }, change))
}

async fn write_rejection(
    app: &App,
    connection: &mut MySqlConnection,
    caller: &Caller,
    id: Uuid,
    reason: &str,
) -> Result<(Decided, Change<'static>), ApiError> {
    let now = app.db.now();
    let (locked, _) = lock_waiting(connection, id).await?;
    if !may_decide(caller, &authors(connection, id).await?) {
        let detail = "expected a person who has neither created nor changed the schedule";
        return Err(ApiError::Refused(
            &problems::OWN_APPROVAL,
            detail.to_owned(),
        ));
    }
    store::reject(connection, id, reason).await?;
    let deliveries = record_event(connection, EventType::ScheduleRejected, id, now).await?;
    let view = read_view(app, connection, id).await?;
    let before = json!({"status": locked.status});
    let after = json!({"status": view.status, "reason": reason});
    let change = Change::of_schedule("schedule.reject", id, before, after);
    Ok((Decided { view, deliveries }, change))
}

/// Describes `POST /v1/schedules/{id}/approve` in the OpenAPI document.
pub fn approve_doc() -> Operation {
    let hash = json!({"type": "string", "pattern": "^[0-9A-Fa-f]{64}$", "description": "The hash of what is approved, from `getApproval`."});
    let now = json!({"type": ["boolean", "null"], "default": false, "description": "If its start has passed, its `run_at` becomes now."});
    let example =
        json!({"hash": "3b8f1f2c9a0d4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789ab"});
    Operation::new("approveSchedule", "schedules", "Approve a schedule of somebody else")
        .text(
            "Exactly the text, the times and the list whose hash is named are approved; after any change it waits again. The caller is a person who has \
             neither created nor changed the schedule. If its start has passed, the call needs `{\"now\": true}`, or a new `run_at` before it.",
        )
        .body(Takes::json(object(json!({"hash": hash, "now": now}), &["hash"]), example))
        .answers::<ScheduleView>(200, "The schedule.", shown("scheduled", json!({})))
        .problems(&["not-found", "wrong-state", "own-approval", "approval-hash-differs", "run-at-past"])
}

/// Describes `POST /v1/schedules/{id}/reject` in the OpenAPI document.
pub fn reject_doc() -> Operation {
    let mut reason = reason_schema();
    reason["type"] = json!("string");
    Operation::new("rejectSchedule", "schedules", "Reject a schedule of somebody else")
        .text(
            "The schedule is a draft again, with the reason: it can be changed, and activated anew, after which it waits for an approval again. The \
             caller is a person who has neither created nor changed the schedule.",
        )
        .body(Takes::json(
            object(json!({"reason": reason}), &["reason"]),
            json!({"reason": "the price is wrong"}),
        ))
        .answers::<ScheduleView>(
            200,
            "The schedule.",
            shown("draft", json!({"reason": "the price is wrong", "changeable_until": null, "next_send_at": null})),
        )
        .problems(&["not-found", "wrong-state", "own-approval"])
}
