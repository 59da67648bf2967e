//! `PUT` and `DELETE /v1/senders/{sender}`.

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
    http::{
        body,
        error::{ApiError, FieldError},
        fields::Fields,
        path::Path,
        query::Query,
    },
    openapi::{Operation, Takes, operation::object},
    resources::senders::{
        field::{NOT_A_SENDER, is_sender},
        list::example,
        store::{MOST_SENDERS, Sender, delete_sender, find_sender, load_senders, write_sender},
    },
};

/// The largest number of characters of a note.
const LONGEST_NOTE: usize = 255;

/// Returns 201 with the sender, or 200 if it was registered already: its note is replaced.
pub async fn put(
    State(app): State<App>,
    caller: Caller,
    Path(sender): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<(StatusCode, Json<Sender>), ApiError> {
    query.finish()?;
    let note = read_note(&body::read_small_json(&request.0, request.1).await?)?;
    if !is_sender(&sender) {
        let error = FieldError::new("sender", "not-a-sender", NOT_A_SENDER);
        return Err(ApiError::invalid(vec![error]));
    }
    let new = Sender {
        sender,
        note,
        created_at: app.db.now(),
        created_by: caller.actor(),
    };
    let new = &new;
    let (is_new, row) = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let before = find_sender(&mut transaction, &new.sender).await?;
            if before.is_none() {
                require_room(load_senders(&mut transaction).await?.len())?;
            }
            write_sender(&mut transaction, new).await?;
            let row = find_sender(&mut transaction, &new.sender)
                .await?
                .ok_or_else(no_such_sender)?;
            let change = Change {
                action: "sender.put",
                resource: format!("sender:{}", row.sender),
                before: before.as_ref().map(|before| json!({"note": before.note})),
                after: Some(json!({"note": row.note})),
            };
            Ok(((before.is_none(), row), change))
        })
    })
    .await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(row)))
}

/// Returns 204, or 404 if the sender is not registered.
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(sender): Path<String>,
    query: Query,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    // The column has ASCII only, and a comparison with other letters would fail.
    if !is_sender(&sender) {
        return Err(no_such_sender());
    }
    let sender = &sender;
    audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let before = find_sender(&mut transaction, sender)
                .await?
                .ok_or_else(no_such_sender)?;
            delete_sender(&mut transaction, sender).await?;
            let change = Change {
                action: "sender.delete",
                resource: format!("sender:{}", before.sender),
                before: Some(json!({"note": before.note})),
                ..Change::default()
            };
            Ok(((), change))
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Describes `PUT /v1/senders/{sender}` in the OpenAPI document.
pub fn put_doc() -> Operation {
    let note = json!({"type": "string", "maxLength": LONGEST_NOTE, "description": "What it is for, for people."});
    Operation::new("putSender", "senders", "Register a sender")
        .text("Callers without the permission `senders:any` may choose it from now on. The carrier has to know it too.")
        .body(Takes::json(
            object(json!({"note": note}), &[]),
            json!({"note": "parcels"}),
        ))
        .answers::<Sender>(201, "The sender is registered.", example())
        .answers::<Sender>(200, "It was registered already; its note is replaced.", example())
}

/// Describes `DELETE /v1/senders/{sender}` in the OpenAPI document.
pub fn delete_doc() -> Operation {
    Operation::new("deleteSender", "senders", "Remove a sender")
        .text("Schedules that have it keep it; new ones cannot choose it.")
        .answers_nothing("The sender is removed.")
        .problems(&["not-found"])
}

fn read_note(body: &[u8]) -> Result<String, ApiError> {
    let mut fields = Fields::read(body)?;
    let note = fields.text("note").unwrap_or_default();
    if note.chars().count() > LONGEST_NOTE {
        let expected = format!("expected at most {LONGEST_NOTE} characters");
        fields.complain("note", "too-long", expected);
    }
    let errors = fields.finish();
    if errors.is_empty() {
        Ok(note)
    } else {
        Err(ApiError::invalid(errors))
    }
}

fn require_room(registered: usize) -> Result<(), ApiError> {
    if registered < MOST_SENDERS as usize {
        return Ok(());
    }
    let expected = format!("expected at most {MOST_SENDERS} senders; remove one first");
    Err(ApiError::invalid(vec![FieldError::new(
        "sender", "too-many", expected,
    )]))
}

fn no_such_sender() -> ApiError {
    ApiError::NotFound("this sender is not registered".to_owned())
}
