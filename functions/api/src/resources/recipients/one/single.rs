//! `DELETE` and `PATCH /v1/schedules/{id}/recipients/{recipient}`: cancels or changes one recipient until
//! it is sent. A repeated call changes nothing more.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::message::status::Status;
use uuid::Uuid;

use super::{
    address::{self, Address, no_such_recipient},
    carry_out::carry_out,
    edit::{self, RecipientEdit},
    outcome::{ChangeOutcome, Order, RecipientChange},
};
use crate::{
    App,
    auth::Caller,
    http::{body, error::ApiError, fields::Fields, path::Path, problems, query::Query},
    openapi::{Operation, ProblemMembers, Takes},
    resources::schedules::show::parse_id,
};

/// The effect of a call that was in time.
#[derive(JsonSchema, Serialize)]
pub struct ChangedRecipient {
    /// Its place in the list.
    seq: u32,
    /// True: the recipient is not sent to, or is sent to as changed.
    in_time: bool,
    /// The state of its message.
    status: Status,
}

/// The members of the problem `recipient-too-late`.
pub const PROBLEM_MEMBERS: ProblemMembers = ProblemMembers {
    problems: &["recipient-too-late"],
    properties: |generator| {
        json!({
            "seq": {"type": "integer", "minimum": 1, "description": "The place of the recipient in the list."},
            "in_time": {"const": false},
            "recipient_status": generator.subschema_for::<Status>(),
        })
    },
    required: &["seq", "in_time", "recipient_status"],
};

/// Cancels a recipient.
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path((id, address)): Path<(String, String)>,
    query: Query,
) -> Result<Json<ChangedRecipient>, ApiError> {
    let (id, address) = (parse_id(&id)?, Address::of_path(&address, query)?);
    let edit = None;
    run(&app, &caller, id, Order { address, edit }).await
}

/// Changes a recipient.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path((id, address)): Path<(String, String)>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<ChangedRecipient>, ApiError> {
    let (id, address) = (parse_id(&id)?, Address::of_path(&address, query)?);
    let bytes = body::read_json(&request.0, request.1).await?;
    let mut fields = Fields::read(&bytes)?;
    let edit = RecipientEdit::read(&mut fields);
    let errors = fields.finish();
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    let edit = Some(edit);
    run(&app, &caller, id, Order { address, edit }).await
}

async fn run(
    app: &App,
    caller: &Caller,
    id: Uuid,
    order: Order,
) -> Result<Json<ChangedRecipient>, ApiError> {
    let changes = carry_out(app, caller, id, &[order]).await?;
    let change = changes.first().copied();
    let change = change.unwrap_or(RecipientChange::NOT_FOUND);
    if change.outcome == ChangeOutcome::Ambiguous {
        let detail = "expected a reference that only one recipient of the schedule has; give the place instead";
        return Err(ApiError::Refused(
            &problems::RECIPIENT_AMBIGUOUS,
            detail.to_owned(),
        ));
    }
    let RecipientChange {
        seq: Some(seq),
        in_time,
        status: Some(status),
        outcome,
    } = change
    else {
        return Err(no_such_recipient());
    };
    match outcome {
        ChangeOutcome::Cancelled | ChangeOutcome::Changed => Ok(Json(ChangedRecipient {
            seq,
            in_time,
            status,
        })),
        ChangeOutcome::TooLate => Err(ApiError::RecipientTooLate(seq, status)),
        ChangeOutcome::Duplicate => Err(ApiError::Refused(
            &problems::RECIPIENT_EXISTS,
            "expected a number, and with `unique_by: reference` a reference, that no other recipient of the schedule has".to_owned(),
        )),
        ChangeOutcome::Ambiguous | ChangeOutcome::NotFound | ChangeOutcome::NotReached => {
            Err(no_such_recipient())
        }
    }
}

const ADDRESS: &str = "The place of the recipient in the list, from 1, or its reference.";

/// Describes [`cancel`] in the OpenAPI document.
pub fn cancel_doc() -> Operation {
    Operation::new("cancelRecipient", "recipients", "Cancel one recipient until it is sent")
        .text(
            "The recipient ends CANCELLED and is never sent to, also if the schedule is running or paused. If a request carries the message \
             already, or has carried it, the answer is 409. The same call made twice is answered in the same way.",
        )
        .path("recipient", address::path_schema(), ADDRESS, json!("1"))
        .queries([address::by()])
        .answers::<ChangedRecipient>(
            200,
            "It was in time.",
            json!({"seq": 1, "in_time": true, "status": "CANCELLED"}),
        )
        .problems(&["not-found", "recipient-too-late", "recipient-ambiguous", "invalid-request"])
}

/// Describes [`change`] in the OpenAPI document.
pub fn change_doc() -> Operation {
    Operation::new("changeRecipient", "recipients", "Change one recipient until it is sent")
        .text(
            "Gives the recipient another number, other variables, another reference or another group; they are checked as those of an appended \
             list. If a request carries the message already, or has carried it, the answer is 409.",
        )
        .path("recipient", address::path_schema(), ADDRESS, json!("1"))
        .queries([address::by()])
        .body(Takes::json(edit::schema(), json!({"phone": "+60123456799"})))
        .answers::<ChangedRecipient>(
            200,
            "It was in time: the recipient is sent to as changed.",
            json!({"seq": 1, "in_time": true, "status": "PENDING"}),
        )
        .problems(&["not-found", "recipient-too-late", "recipient-exists", "recipient-ambiguous", "wrong-state", "schedule-begun", "invalid-request"])
}
