//! `POST /v1/webhooks/{id}/deliveries/{event_id}/repeat` and `POST
//! /v1/webhooks/{id}/deliveries/repeat-failed`: post events again, with the same ids, by which a
//! receiver recognizes events that it has already. After two calls a delivery is due once.

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
        schedules::arrange_dispatch::enqueue_deliveries,
        webhooks::{
            change,
            deliveries::no_such_delivery,
            delivery_example, parse_id, require_enabled,
            scope::Scope,
            store::{
                deliveries::{
                    DeliveryRow, load_delivery, lock_failed, repeat_delivery, repeat_failed,
                },
                end_suspension,
            },
        },
    },
};

/// The largest number of deliveries per call, because each is a message.
const MAX_REPEATED: u32 = 200;

/// Returns 202 with the delivery, which is due now, regardless of its state before.
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
    let scope = &Scope::to_write(&caller);
    let row = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let now = app.db.now();
            require_enabled(&scope.lock(&mut transaction, id).await?, now)?;
            write_one(&mut transaction, delivery, now).await
        })
    })
    .await?;
    enqueue_deliveries(app, &[delivery]).await;
    Ok((StatusCode::ACCEPTED, Json(row)))
}

/// The effect of a call.
#[derive(JsonSchema, Serialize)]
pub struct Repeated {
    changed: u64,
    /// Whether there may be more than one call can do; if so, repeat the call.
    more: bool,
}

/// Returns 202. Failed deliveries of events from `from` on are due now, the oldest first.
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
        let (app, scope) = (&app, &Scope::to_write(&caller));
        audited_transaction(&app.db, &caller, |mut transaction| {
            Box::pin(async move {
                let now = app.db.now();
                require_enabled(&scope.lock(&mut transaction, id).await?, now)?;
                write_failed(&mut transaction, id, from, now).await
            })
        })
        .await?
    };
    let more = events.len() == MAX_REPEATED as usize;
    let messages: Vec<_> = events
        .into_iter()
        .map(|event_id| DeliveryMessage {
            webhook_id: id,
            event_id,
        })
        .collect();
    enqueue_deliveries(&app, &messages).await;
    Ok((StatusCode::ACCEPTED, Json(Repeated { changed, more })))
}

/// Describes `POST /v1/webhooks/{id}/deliveries/{event_id}/repeat` in the OpenAPI document.
pub fn one_doc() -> Operation {
    Operation::new("repeatDelivery", "webhooks", "Post an event again")
        .text("Regardless of its state. The event has the same id as before.")
        .answers::<DeliveryRow>(202, "The delivery, which is due now.", delivery_example())
        .problems(&["not-found", "webhook-disabled"])
}

/// Describes `POST /v1/webhooks/{id}/deliveries/repeat-failed` in the OpenAPI document.
pub fn failed_doc() -> Operation {
    Operation::new(
        "repeatFailedDeliveries",
        "webhooks",
        "Post failed deliveries again",
    )
    .text("The oldest first, at most two hundred per call.")
    .queries([parameters::time("from", "Only events from this time on.")])
    .answers::<Repeated>(
        202,
        "How many deliveries are due now; `more`: repeat the call.",
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
    end_suspension(transaction, webhook_id, now).await?;
    let before = load_delivery(transaction, webhook_id, event_id)
        .await?
        .ok_or_else(no_such_delivery)?;
    repeat_delivery(transaction, delivery, now).await?;
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
    end_suspension(transaction, id, now).await?;
    let first_event = from.map_or(Uuid::nil(), first_id);
    let events = lock_failed(transaction, id, first_event, MAX_REPEATED).await?;
    let changed = match (events.first(), events.last()) {
        (Some(first), Some(last)) => repeat_failed(transaction, id, *first..=*last, now).await?,
        _ => 0,
    };
    let after = json!({"from": from, "changed": changed});
    let change = change("webhook.repeat-failed", id, None, Some(after));
    Ok(((events, changed), change))
}
