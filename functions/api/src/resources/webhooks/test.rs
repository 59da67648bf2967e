//! `POST /v1/webhooks/{id}/test`: an event for this webhook alone, posted at once. Called twice, there are two.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::json;
use shared::{access::audit::new_id, platform::queue::DeliveryMessage};
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
    },
    http::{error::ApiError, path::Path, query::Query},
    openapi::Operation,
    resources::{
        schedules::arrange_dispatch::deliver,
        webhooks::{
            change,
            deliveries::no_such_delivery,
            delivery_example, enabled, parse_id,
            store::{DeliveryRow, insert_test, load_delivery, lock_webhook},
        },
    },
};

/// 202 with the delivery.
pub async fn test(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<(StatusCode, Json<DeliveryRow>), ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let app = &app;
    let row = audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(app, transaction, id))
    })
    .await?;
    deliver(
        app,
        &[DeliveryMessage {
            webhook_id: id,
            event_id: row.event_id,
        }],
    )
    .await;
    Ok((StatusCode::ACCEPTED, Json(row)))
}

/// For the document.
pub fn test_doc() -> Operation {
    Operation::new(
        "testWebhook",
        "webhooks",
        "Have something posted to one, to try it out",
    )
    .answers::<DeliveryRow>(
        202,
        "The delivery, which is on its way.",
        delivery_example(),
    )
    .problems(&["not-found", "webhook-disabled"])
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    id: Uuid,
) -> Result<(DeliveryRow, Change<'static>), ApiError> {
    let now = app.db.now();
    enabled(lock_webhook(&mut transaction, id).await?)?;
    let event_id = new_id(now);
    let data = json!({"webhook_id": id}).to_string();
    insert_test(&mut transaction, (id, event_id), &data, now).await?;
    let row = load_delivery(&mut transaction, id, event_id)
        .await?
        .ok_or_else(no_such_delivery)?;
    let after = json!({"event_id": event_id});
    Ok((row, change("webhook.test", id, None, Some(after))))
}
