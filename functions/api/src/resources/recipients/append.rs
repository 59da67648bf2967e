//! `POST /v1/schedules/{id}/recipients`: more recipients, called again and again for lists of any size. A call that comes
//! twice adds nothing: its numbers are duplicates the second time.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::schedule::status::ScheduleStatus;
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
    },
    http::{
        error::{ApiError, FieldError},
        path::Path,
        query::Query,
    },
    lists::{AcceptedVariables, List, doc, entry::RejectedEntry, request::read_list},
    openapi::Operation,
    resources::{
        recipients::load::{Loaded, OnInvalid, Target, load},
        schedules::{
            show::parse_id,
            state::begun,
            store::{count_added, lock_schedule},
        },
    },
};

/// What came of a call.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AppendedRecipients")]
pub struct Appended {
    /// Numbers that are new in this schedule.
    accepted: u32,
    /// Numbers that were in it already, or more than once in this call.
    duplicates: u32,
    /// Entries that were skipped.
    invalid_count: u32,
    /// The first thousand of them.
    invalid: Vec<RejectedEntry>,
    /// Numbers in the schedule now.
    recipients_total: u32,
}

/// 200 with what was accepted, or nothing is written.
pub async fn append(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    mut query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<Appended>, ApiError> {
    let (headers, body) = request;
    let id = parse_id(&id)?;
    let on_invalid = query
        .choice("on_invalid", &OnInvalid::ALL, OnInvalid::as_str)
        .unwrap_or_default();
    let list = read_list(&headers, &mut query, body).await?;
    query.finish()?;
    let (app, caller, list) = (&app, &caller, &list);
    let appended = audited_transaction(&app.db, caller, |transaction| {
        let list = list.clone();
        Box::pin(write(app, caller, transaction, id, list, on_invalid))
    });
    Ok(Json(appended.await?))
}

/// For the document.
pub fn append_doc() -> Operation {
    let answer = json!({"accepted": 2, "duplicates": 0, "invalid_count": 0, "invalid": [], "recipients_total": 2});
    Operation::new("appendRecipients", "recipients", "Append numbers to a schedule")
        .text(
            "Called again and again for lists of any size, each call all or nothing; 6 MiB of text or 4.5 MiB of gzip a call. A call that comes \
             twice adds nothing: its numbers are duplicates the second time.",
        )
        .query(
            "on_invalid",
            json!({"type": "string", "enum": OnInvalid::ALL.map(OnInvalid::as_str), "default": OnInvalid::Reject.as_str()}),
            "`reject`: one invalid entry refuses the call; `skip`: whatever is no number is kept as INVALID.",
        )
        .queries(doc::list_parameters())
        .body(doc::list_body(true))
        .answers::<Appended>(200, "What was accepted.", answer)
        .problems(&["not-found", "schedule-begun", "daily-limit"])
}

async fn write(
    app: &App,
    caller: &Caller,
    mut transaction: AuditedTransaction<'_, '_>,
    id: Uuid,
    mut list: List,
    on_invalid: OnInvalid,
) -> Result<(Appended, Change<'static>), ApiError> {
    let schedule = lock_schedule(&mut transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    if !matches!(
        schedule.status,
        ScheduleStatus::Draft | ScheduleStatus::Scheduled
    ) {
        return Err(begun(
            &schedule,
            "recipients can be appended to what is draft or scheduled",
        ));
    }
    list.options.variables = AcceptedVariables::of(&schedule.message)?;
    let target = Target {
        schedule_id: id,
        next_seq: schedule.next_seq,
        on_invalid,
        now: app.db.now(),
    };
    let Loaded {
        added,
        invalid,
        entries,
        ..
    } = load(&mut transaction, list, target).await?;
    if entries == 0 {
        let error = FieldError::new("recipients", "empty", "expected at least one entry");
        return Err(ApiError::invalid(vec![error]));
    }
    caller
        .use_messages(&mut transaction, target.now, added.recipients)
        .await?;
    count_added(&mut transaction, id, &added).await?;
    let recipients_total = schedule.recipient_count + added.recipients;
    let before = json!({"recipients": schedule.recipient_count});
    let after = json!({"recipients": recipients_total, "invalid": added.invalid, "duplicates": added.duplicates});
    let appended = Appended {
        accepted: added.recipients,
        duplicates: added.duplicates,
        invalid_count: added.invalid,
        invalid,
        recipients_total,
    };
    Ok((
        appended,
        Change::of_schedule("schedule.append", id, before, after),
    ))
}
