//! `POST /v1/webhooks/{id}/deliveries/{event_id}/repeat` and `POST /v1/webhooks/{id}/deliveries/repeat-failed`: posted again, as the same
//! events, whose ids tell a receiver that it has them already. Called twice, a delivery is due once.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::platform::queue::DeliveryMessage;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{error::ApiError, path::Path, query::Query},
    openapi::{Operation, parameters},
    resources::{
        audit::store::first_id,
        schedules::arrange_dispatch::deliver,
        webhooks::{
            change,
            deliveries::no_such_delivery,
            delivery_example, enabled, parse_id,
            store::{
                DeliveryRow, load_delivery, lock_failed, lock_webhook, repeat_delivery,
                repeat_failed,
            },
        },
    },
};

/// So many a call: each is a message.
const MOST: u32 = 200;

/// 202 with the delivery, which is due now, whatever became of it.
pub async fn one(
    State(app): State<App>,
    caller: Caller,
    Path((id, event_id)): Path<(String, String)>,
    query: Query,
) -> Result<(StatusCode, Json<DeliveryRow>), ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let event_id = Uuid::try_parse(&event_id).map_err(|_| no_such_delivery())?;
    let (app, delivery) = (
        &app,
        DeliveryMessage {
            webhook_id: id,
            event_id,
        },
    );
    let row = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move { write_one(&mut transaction, delivery, app.db.now()).await })
    })
    .await?;
    deliver(app, &[delivery]).await;
    Ok((StatusCode::ACCEPTED, Json(row)))
}

/// What came of it.
#[derive(JsonSchema, Serialize)]
pub struct Repeated {
    changed: u64,
    /// Whether there may be more than one call can do: make it again.
    more: bool,
}

/// 202; failed deliveries of events from `from` on are due now, the oldest first.
pub async fn failed(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    mut query: Query,
) -> Result<(StatusCode, Json<Repeated>), ApiError> {
    let from = query.time("from");
    query.finish()?;
    let id = parse_id(&id)?;
    let (events, changed) = {
        let app = &app;
        audited_transaction(&app.db, &caller, |mut transaction| {
            Box::pin(async move { write_failed(&mut transaction, id, from, app.db.now()).await })
        })
        .await?
    };
    let more = events.len() == MOST as usize;
    let messages: Vec<_> = events
        .into_iter()
        .map(|event_id| DeliveryMessage {
            webhook_id: id,
            event_id,
        })
        .collect();
    deliver(&app, &messages).await;
    Ok((StatusCode::ACCEPTED, Json(Repeated { changed, more })))
}

/// For the document.
pub fn one_doc() -> Operation {
    Operation::new("repeatDelivery", "webhooks", "Post an event again")
        .text("Whatever became of it. It has the same id as before.")
        .answers::<DeliveryRow>(
            202,
            "The delivery, which is on its way.",
            delivery_example(),
        )
        .problems(&["not-found", "webhook-disabled"])
}

/// Likewise.
pub fn failed_doc() -> Operation {
    Operation::new(
        "repeatFailedDeliveries",
        "webhooks",
        "Post again what could not be posted",
    )
    .text("The oldest first, at most two hundred a call.")
    .queries([parameters::time("from", "Of events from then on.")])
    .answers::<Repeated>(
        202,
        "How many are on their way; `more`: make the call again.",
        json!({"changed": 2, "more": false}),
    )
    .problems(&["not-found", "webhook-disabled"])
}

async fn write_one(
    transaction: &mut MySqlConnection,
    delivery: DeliveryMessage,
    now: DateTime<Utc>,
) -> Result<(DeliveryRow, Change<'static>), ApiError> {
    let DeliveryMessage {
        webhook_id,
        event_id,
    } = delivery;
    enabled(lock_webhook(transaction, webhook_id).await?)?;
    let before = load_delivery(transaction, webhook_id, event_id)
        .await?
        .ok_or_else(no_such_delivery)?;
    repeat_delivery(transaction, (webhook_id, event_id), now).await?;
    let before = json!({"event_id": event_id, "status": before.status, "tries": before.tries});
    let after = json!({"event_id": event_id, "status": "pending", "tries": 0});
    let row = load_delivery(transaction, webhook_id, event_id)
        .await?
        .ok_or_else(no_such_delivery)?;
    Ok((
        row,
        change("webhook.repeat", webhook_id, Some(before), Some(after)),
    ))
}

async fn write_failed(
    transaction: &mut MySqlConnection,
    id: Uuid,
    from: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<((Vec<Uuid>, u64), Change<'static>), ApiError> {
    enabled(lock_webhook(transaction, id).await?)?;
    let first_event = from.map_or(Uuid::nil(), first_id);
    let events = lock_failed(transaction, id, first_event, MOST).await?;
    let changed = match (events.first(), events.last()) {
        (Some(first), Some(last)) => repeat_failed(transaction, id, (*first, *last), now).await?,
        _ => 0,
    };
    let after = json!({"from": from, "changed": changed});
    let change = change("webhook.repeat-failed", id, None, Some(after));
    Ok(((events, changed), change))
}
