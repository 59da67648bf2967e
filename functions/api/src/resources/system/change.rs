//! `POST /v1/system/stop` and `POST /v1/system/resume`: the brake. It is the flag of `make
//! stop-sending`, which works without the API.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use serde_json::json;
use shared::batch::brake::{self, BrakeChange, LONGEST_REASON};

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{body, error::ApiError, fields::Fields, query::Query},
    openapi::{Operation, Takes, operation::object},
    resources::{
        schedules::arrange_dispatch::request_sweep,
        system::show::{SystemView, example},
    },
};

/// Stops all sending. Returns 200 with the state.
pub async fn stop(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<SystemView>, ApiError> {
    query.finish()?;
    let reason = read(&body::read_small_json(&request.0, request.1).await?)?;
    let (actor, reason, now) = (&caller.actor(), reason.as_str(), app.db.now());
    let change = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let change = brake::set(&mut transaction, actor.clone(), reason, now).await?;
            let entry = audit_change("sending.stop", &change);
            Ok((change, entry))
        })
    });
    Ok(Json(change.await?.after.into()))
}

/// Resumes sending, and requests a sweep, which enqueues what was due meanwhile. Returns 200 with the
/// state.
pub async fn resume(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<SystemView>, ApiError> {
    query.finish()?;
    let reason = read(&body::read_small_json(&request.0, request.1).await?)?;
    let (actor, reason) = (&caller.actor(), reason.as_str());
    let change = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let change = brake::release(&mut transaction, actor.clone(), reason).await?;
            let entry = audit_change("sending.resume", &change);
            Ok((change, entry))
        })
    })
    .await?;
    request_sweep(&app).await;
    Ok(Json(change.after.into()))
}

/// Describes `POST /v1/system/stop` in the OpenAPI document.
pub fn stop_doc() -> Operation {
    Operation::new("stopSending", "system", "Stop all sending")
        .text(
            "No batch is claimed any more, and passes in progress end within some seconds. What the carrier has accepted cannot be called back; \
             statuses are still asked for. Nothing is lost: everything waits for the resume. A repeated call changes the reason only.",
        )
        .body(takes_reason("INC-12: wrong text"))
        .answers::<SystemView>(200, "The state.", example(true))
}

/// Describes `POST /v1/system/resume` in the OpenAPI document.
pub fn resume_doc() -> Operation {
    Operation::new("resumeSending", "system", "Resume sending")
        .text(
            "What was due meanwhile is sent now. What is later than the `max_lateness_s` of its schedule is held as missed. A repeated call changes the \
             reason only.",
        )
        .body(takes_reason("INC-12 is solved"))
        .answers::<SystemView>(200, "The state.", example(false))
}

fn takes_reason(reason: &str) -> Takes {
    let fields = json!({"reason": {"type": "string", "minLength": 1, "maxLength": LONGEST_REASON, "pattern": r"\S",
        "description": "For the audit log, and shown while sending is stopped."}});
    Takes::json(object(fields, &["reason"]), json!({"reason": reason}))
}

fn read(body: &[u8]) -> Result<String, ApiError> {
    let mut fields = Fields::read(body)?;
    let reason = fields.text("reason");
    fields.require("reason", "a string");
    let reason = reason.map(|reason| reason.trim().to_owned());
    let length = reason.as_ref().map(|reason| reason.chars().count());
    if length.is_some_and(|length| !(1..=LONGEST_REASON).contains(&length)) {
        let expected = format!("expected 1 to {LONGEST_REASON} characters");
        fields.complain("reason", "out-of-range", expected);
    }
    let errors = fields.finish();
    reason
        .filter(|_| errors.is_empty())
        .ok_or_else(|| ApiError::invalid(errors))
}

fn audit_change(action: &'static str, change: &BrakeChange) -> Change<'static> {
    Change {
        action,
        resource: "sending".to_owned(),
        before: Some(json!(change.before)),
        after: Some(json!(change.after)),
    }
}
