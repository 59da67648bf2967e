//! `PATCH /v1/webhooks/{id}`: changes the URL or the events, or disables or enables the webhook. A
//! repeated call changes nothing.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
    },
    http::{body, error::ApiError, path::Path, query::Query},
    openapi::{Operation, Takes},
    resources::webhooks::{
        WebhookView, audit_state, example, no_such_webhook, parse_id,
        request::{self, WebhookEdit},
        store::{Webhook, change_webhook, lock_webhook},
    },
};

/// Returns 200 with the webhook.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<WebhookView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let edit = WebhookEdit::read(
        &body::read_small_json(&request.0, request.1).await?,
        app.webhook_targets,
    )?;
    let (now, edit) = (app.db.now(), &edit);
    let webhook = audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(transaction, id, edit, now))
    });
    Ok(Json(webhook.await?.into()))
}

/// Describes `PATCH /v1/webhooks/{id}` in the OpenAPI document.
pub fn change_doc() -> Operation {
    Operation::new("changeWebhook", "webhooks", "Change a webhook")
        .text("A field that is left out stays as it is. `disabled` ends the pending deliveries; `description: null` removes the description.")
        .body(Takes::json(request::edit_schema(), json!({"events": ["messages.final"], "description": null, "disabled": false})))
        .answers::<WebhookView>(200, "The webhook.", example())
        .problems(&["not-found"])
}

async fn write(
    mut transaction: AuditedTransaction<'_, '_>,
    id: Uuid,
    edit: &WebhookEdit,
    now: DateTime<Utc>,
) -> Result<(Webhook, Change<'static>), ApiError> {
    let before = lock_webhook(&mut transaction, id)
        .await?
        .ok_or_else(no_such_webhook)?;
    let mut webhook = before.clone();
    edit.apply(&mut webhook);
    if webhook.url != before.url {
        // Nothing is known about the new receiver.
        close_circuit(&mut webhook);
        webhook.accepted_at = None;
    }
    set_disabled(&mut webhook, edit.disabled, now);
    change_webhook(&mut transaction, &webhook).await?;
    let change = super::change(
        "webhook.change",
        id,
        Some(audit_state(&before)),
        Some(audit_state(&webhook)),
    );
    Ok((webhook, change))
}

/// Disables or enables the webhook. A webhook that the system disabled keeps that reason; an
/// enabled webhook counts its failures from zero.
fn set_disabled(webhook: &mut Webhook, disabled: Option<bool>, now: DateTime<Utc>) {
    match disabled {
        Some(true) => webhook.disabled_at = webhook.disabled_at.or(Some(now)),
        Some(false) => {
            (
                webhook.disabled_at,
                webhook.disabled_reason,
                webhook.failing_since,
            ) = (None, None, None);
            close_circuit(webhook);
        }
        None => {}
    }
}

const fn close_circuit(webhook: &mut Webhook) {
    (webhook.failures, webhook.suspended_until) = (0, None);
}
