//! `PUT` and `DELETE /v1/suppressions/{phone}`.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::json;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{body, error::ApiError, path::Path, query::Query},
    openapi::{Operation, Takes},
    resources::suppressions::{
        NoteRequest, is_reason, no_such_suppression, note_schema, person_of, phone_of,
        read::{SuppressionView, read_view, view_example},
        read_note, required_reason_schema,
        store::{Note, delete_suppression, find_suppression, insert_note, insert_suppressions},
    },
};

/// What is expected as the reason of a removal.
const DELETE_REASON: &str =
    "expected why the number gets messages again, in 1 to 255 characters, for the audit log";

fn change(action: &'static str, person: &str) -> Change<'static> {
    Change {
        action,
        resource: format!("suppression:{person}"),
        ..Change::default()
    }
}

/// Returns 201 with the row, or 200 if the number was suppressed already. The first reason is kept,
/// because it is the proof of an opt-out; this one becomes a note.
pub async fn put(
    State(app): State<App>,
    caller: Caller,
    Path(phone): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<(StatusCode, Json<SuppressionView>), ApiError> {
    query.finish()?;
    let phone = phone_of(&phone)?;
    let NoteRequest { reason, source } =
        read_note(&body::read_small_json(&request.0, request.1).await?)?;
    let source = source.unwrap_or_else(|| "api".to_owned());
    let note = Note {
        reason,
        source,
        created_at: app.db.now(),
        created_by: caller.actor(),
    };
    let (note, person) = (&note, person_of(&app, phone));
    let person = &person;
    let (new, row) = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let new = insert_suppressions(&mut transaction, &[phone], note).await? > 0;
            if !new {
                insert_note(&mut transaction, phone, note).await?;
            }
            let row = read_view(&mut transaction, phone).await?;
            let after = json!({"reason": note.reason, "source": note.source, "new": new});
            let change = Change {
                after: Some(after),
                ..change("suppression.put", person)
            };
            Ok(((new, row), change))
        })
    })
    .await?;
    let status = if new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(row)))
}

/// Returns 204, or 404 if the number was not suppressed. The reason is for the audit log.
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(phone): Path<String>,
    mut query: Query,
) -> Result<StatusCode, ApiError> {
    let reason = query.text("reason").unwrap_or_default();
    if reason.trim().is_empty() || !is_reason(&reason) {
        query.complain("reason", "missing", DELETE_REASON);
    }
    query.finish()?;
    let phone = phone_of(&phone)?;
    let (reason, person) = (&reason, person_of(&app, phone));
    let person = &person;
    audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let before = find_suppression(&mut transaction, phone)
                .await?
                .ok_or_else(no_such_suppression)?;
            delete_suppression(&mut transaction, phone).await?;
            let before = json!({"reason": before.reason, "source": before.source});
            let change = Change {
                before: Some(before),
                after: Some(json!({ "reason": reason })),
                ..change("suppression.delete", person)
            };
            Ok(((), change))
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Describes `PUT /v1/suppressions/{phone}` in the OpenAPI document.
pub fn put_doc() -> Operation {
    let note = json!({"reason": "asked by mail", "source": "support"});
    Operation::new("putSuppression", "suppressions", "Suppress a number")
        .text("No message is sent to the number, by schedules that exist already too.")
        .body(Takes::json(note_schema(), note))
        .answers::<SuppressionView>(201, "The number is added.", view_example())
        .answers::<SuppressionView>(
            200,
            "The number was suppressed already: it keeps its reason and source, and these become a note.",
            view_example(),
        )
}

/// Describes `DELETE /v1/suppressions/{phone}` in the OpenAPI document.
pub fn delete_doc() -> Operation {
    Operation::new("deleteSuppression", "suppressions", "Remove a suppression")
        .text("The number gets messages again. The reason is recorded in the audit log.")
        .required_query(
            "reason",
            required_reason_schema(),
            "Why, such as `asked for it on the phone`.",
        )
        .answers_nothing("The suppression is removed.")
        .problems(&["not-found"])
}
