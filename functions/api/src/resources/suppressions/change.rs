//! `PUT` and `DELETE /v1/suppressions/{phone}`.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::json;
use shared::message::phone::Phone;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{body, error::ApiError, path::Path, query::Query},
    openapi::{Operation, Takes},
    resources::suppressions::{
        example, no_such_suppression, note_schema, phone_of, read_note,
        store::{
            Note, Suppression, change_suppression, delete_suppression, find_suppression,
            insert_suppressions,
        },
    },
};

fn change(action: &'static str, phone: Phone) -> Change<'static> {
    Change {
        action,
        resource: format!("suppression:{phone}"),
        ..Change::default()
    }
}

/// 201 with the row, or 200 where the number was suppressed already; reason and source are the new ones.
pub async fn put(
    State(app): State<App>,
    caller: Caller,
    Path(phone): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<(StatusCode, Json<Suppression>), ApiError> {
    query.finish()?;
    let phone = phone_of(&phone)?;
    let (reason, source) = read_note(&body::read_small_json(&request.0, request.1).await?)?;
    let source = source.unwrap_or_else(|| "api".to_owned());
    let note = Note {
        reason,
        source,
        created_at: app.db.now(),
        created_by: caller.actor(),
    };
    let note = &note;
    let (new, row) = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let new = insert_suppressions(&mut transaction, &[phone], note).await? > 0;
            if !new {
                change_suppression(&mut transaction, phone, note).await?;
            }
            let row = find_suppression(&mut transaction, phone)
                .await?
                .ok_or_else(no_such_suppression)?;
            let after = json!({"reason": note.reason, "source": note.source, "new": new});
            let change = Change {
                after: Some(after),
                ..change("suppression.put", phone)
            };
            Ok(((new, row), change))
        })
    })
    .await?;
    Ok((
        if new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        },
        Json(row),
    ))
}

/// 204; 404: it was not suppressed.
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(phone): Path<String>,
    query: Query,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    let phone = phone_of(&phone)?;
    audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let before = find_suppression(&mut transaction, phone)
                .await?
                .ok_or_else(no_such_suppression)?;
            delete_suppression(&mut transaction, phone).await?;
            let before = json!({"reason": before.reason, "source": before.source});
            let change = Change {
                before: Some(before),
                ..change("suppression.delete", phone)
            };
            Ok(((), change))
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// For the document.
pub fn put_doc() -> Operation {
    let note = json!({"reason": "asked by mail", "source": "support"});
    Operation::new("putSuppression", "suppressions", "Send no more to a number")
        .text("Counts for schedules made before it, too.")
        .body(Takes::json(note_schema(), note))
        .answers::<Suppression>(201, "It is added.", example())
        .answers::<Suppression>(
            200,
            "It was there; reason and source are the new ones.",
            example(),
        )
}

/// Likewise.
pub fn delete_doc() -> Operation {
    Operation::new(
        "deleteSuppression",
        "suppressions",
        "Send to a number again",
    )
    .answers_nothing("It is taken off.")
    .problems(&["not-found"])
}
