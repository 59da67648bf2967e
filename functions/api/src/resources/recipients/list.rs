//! `GET /v1/schedules/{id}/recipients`: lists the recipients and the state of each, page by page in
//! the order of the list.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{message::status::Status, schedule::row::load_schedule};

use crate::{
    App,
    http::{
        error::ApiError,
        page::{ListWalk, ROWS_PER_CALL},
        path::Path,
        query::{LONG_LIMIT, Query},
    },
    openapi::{Operation, parameters},
    resources::{
        recipients::store::{Recipient, last_seq, page_of_recipients},
        schedules::show::parse_id,
    },
};

/// A page of recipients.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RecipientPage")]
pub struct Page {
    recipients: Vec<Recipient>,
    /// The cursor of the next page; null on the last page. With `status`, there may be a next page
    /// although this one is not full, or empty.
    next_cursor: Option<String>,
}

/// Returns 200 with a page.
pub async fn list(
    State(app): State<App>,
    Path(id): Path<String>,
    mut query: Query,
) -> Result<Json<Page>, ApiError> {
    let id = parse_id(&id)?;
    let status = query.choice("status", &Status::ALL, Status::as_str);
    let limit = query.limit(LONG_LIMIT);
    let after = query
        .cursor(|cursor| u32::from_str_radix(cursor.strip_prefix('r')?, 16).ok())
        .unwrap_or_default();
    query.finish()?;
    let mut connection = app.db.acquire().await?;
    load_schedule(&mut connection, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    let walk = ListWalk::new(after, ROWS_PER_CALL, limit);
    let recipients = page_of_recipients(&mut connection, id, status, walk).await?;
    let end = last_seq(&mut connection, id).await?;
    let next = walk.next(recipients.iter().map(|recipient| recipient.seq), end);
    let next_cursor = next.map(|seq| format!("r{seq:x}"));
    Ok(Json(Page {
        recipients,
        next_cursor,
    }))
}

/// Describes `GET /v1/schedules/{id}/recipients` in the OpenAPI document.
pub fn list_doc() -> Operation {
    let recipient = json!({
        "seq": 1, "phone": "+60123456789", "input": null, "position": null, "call": 1, "status": "DELIVRD", "attempt": 1, "resends": 0,
        "message_id": "a1b2c3", "carrier_status": "DELIVRD", "error": null, "sent_at": "2027-01-31T01:00:00Z",
        "final_at": "2027-01-31T01:00:09Z",
    });
    Operation::new("listRecipients", "recipients", "List the recipients and the state of each, in the order of the list")
        .text("`status=INVALID`: entries that were refused under `skip`, with `position`, `input`, and the reason in `error`. \
            A call reads at most 100,000 entries of the list: with `status`, a page may be short, or empty, before the last page.")
        .queries([parameters::status()])
        .queries(parameters::page(LONG_LIMIT))
        .answers::<Page>(200, "A page.", json!({"recipients": [recipient], "next_cursor": null}))
        .problems(&["not-found"])
}
