//! `POST /v1/webhooks/{id}/test`: posts a test event to this webhook alone, at once. Two calls post
//! two events.

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
        schedules::arrange_dispatch::enqueue_deliveries,
        webhooks::{
            change,
            deliveries::no_such_delivery,
            delivery_example, parse_id, require_enabled,
            scope::Scope,
            store::{
                deliveries::{DeliveryRow, insert_test, load_delivery},
                end_suspension,
            },
        },
    },
};

/// Returns 202 with the delivery.
pub async fn test(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<(StatusCode, Json<DeliveryRow>), ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let (app, scope) = (&app, &Scope::to_write(&caller));
    let row = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let webhook = scope.lock(&mut transaction, id).await?;
            require_enabled(&webhook, app.db.now())?;
            write(app, transaction, id).await
        })
    })
    .await?;
    enqueue_deliveries(
        app,
        &[DeliveryMessage {
            webhook_id: id,
            event_id: row.event_id,
        }],
    )
    .await;
    Ok((StatusCode::ACCEPTED, Json(row)))
}

/// Describes `POST /v1/webhooks/{id}/test` in the OpenAPI document.
pub fn test_doc() -> Operation {
    Operation::new("testWebhook", "webhooks", "Post a test event to a webhook")
        .answers::<DeliveryRow>(202, "The delivery, which is due now.", delivery_example())
        .problems(&["not-found", "webhook-disabled"])
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    id: Uuid,
) -> Result<(DeliveryRow, Change<'static>), ApiError> {
    let now = app.db.now();
    end_suspension(&mut transaction, id, now).await?;
    let event_id = new_id(now);
    let data = json!({"webhook_id": id}).to_string();
    let delivery = DeliveryMessage {
        webhook_id: id,
        event_id,
    };
    insert_test(&mut transaction, delivery, &data, now).await?;
    let row = load_delivery(&mut transaction, id, event_id)
        .await?
        .ok_or_else(no_such_delivery)?;
    let after = json!({"event_id": event_id});
    Ok((row, change("webhook.test", id, None, Some(after))))
}
