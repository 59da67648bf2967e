//! `POST /v1/suppressions/import`: adds a list of numbers, in any format of recipient lists. The
//! same call made twice adds nothing.

use std::sync::Arc;

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::message::phone::Phone;
use sqlx::MySqlConnection;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{error::ApiError, query::Query},
    lists::{
        List, doc,
        entry::{Entry, RejectedEntry},
        load::{SHOWN_SKIPPED, Wrong},
        request::read_list,
    },
    openapi::Operation,
    resources::suppressions::{
        SOURCE, is_reason, is_source, reason_schema, source_schema,
        store::{Note, insert_suppressions},
    },
};

/// The effect of a call.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "ImportedSuppressions")]
pub struct Imported {
    /// Numbers that were not suppressed before.
    added: u64,
    /// Numbers that were suppressed before, or that the list names more than once.
    already: u64,
    /// Entries that are no numbers.
    invalid_count: u64,
    /// The first thousand of them.
    invalid: Vec<RejectedEntry>,
}

/// Returns 200 with the effect.
pub async fn import(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<Imported>, ApiError> {
    let (reason, source) = (
        query.text("reason"),
        query.text("source").unwrap_or_else(|| "import".to_owned()),
    );
    if reason.as_deref().is_some_and(|reason| !is_reason(reason)) {
        query.complain("reason", "too-long", "expected at most 255 characters");
    }
    if !is_source(&source) {
        query.complain("source", "not-a-source", SOURCE);
    }
    let list = read_list(&request.0, &mut query, request.1).await?;
    query.finish()?;
    let note = Note {
        reason,
        source,
        created_at: app.db.now(),
        created_by: caller.actor(),
    };
    let (entries, list, note) = (Arc::clone(&list.entries), &list, &note);
    let imported = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let imported = write(&mut transaction, list.clone(), note).await?;
            let after =
                json!({"added": imported.added, "reason": note.reason, "source": note.source});
            let change = Change {
                action: "suppression.import",
                resource: "suppressions".to_owned(),
                after: Some(after),
                ..Change::default()
            };
            Ok((imported, change))
        })
    });
    let imported = imported.await;
    app.count_entries(&caller, &entries).await?;
    imported.map(Json)
}

/// Describes `POST /v1/suppressions/import` in the OpenAPI document.
pub fn import_doc() -> Operation {
    let refused = json!({"position": 1, "input": "abc", "code": "not-a-number", "detail": Phone::parse("abc").err().map(|error| error.to_string())});
    Operation::new("importSuppressions", "suppressions", "Suppress the numbers of a list")
        .text("All of it is written, or nothing, except entries that are no numbers: the answer lists those. The same call made twice adds nothing.")
        .query("reason", reason_schema(), "The reason.")
        .query("source", source_schema(), "The source; default: `import`.")
        .queries(doc::list_parameters())
        .body(doc::list_body(false))
        .answers::<Imported>(200, "What was added.", json!({"added": 1, "already": 0, "invalid_count": 1, "invalid": [refused]}))
}

async fn write(
    transaction: &mut MySqlConnection,
    list: List,
    note: &Note,
) -> Result<Imported, ApiError> {
    let mut imported = Imported::default();
    let mut reading = list.read();
    let mut wrong = Wrong::default();
    while let Some(chunk) = reading.chunks.recv().await {
        wrong.extend(chunk.errors);
        let mut phones = Vec::with_capacity(chunk.entries.len());
        for entry in chunk.entries {
            match entry {
                Entry::Valid(phone) => phones.push(phone),
                Entry::Personal(personal) => phones.push(personal.phone),
                Entry::Invalid(refused) => {
                    imported.invalid_count += 1;
                    if imported.invalid.len() < SHOWN_SKIPPED {
                        imported.invalid.push(*refused);
                    }
                }
            }
        }
        let given = phones.len() as u64;
        // In the order of the index: this is faster, and two imports cannot deadlock.
        phones.sort_unstable();
        phones.dedup();
        let added = insert_suppressions(transaction, &phones, note).await?;
        imported.added += added;
        imported.already += given - added;
    }
    reading
        .end
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))??;
    wrong.refuse()?;
    Ok(imported)
}
