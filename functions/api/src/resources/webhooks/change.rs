//! `PATCH /v1/webhooks/{id}`: changes the URL or the events, or disables or enables the webhook. A
//! repeated call changes nothing.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
        webhook_owner::lock_grant,
    },
    http::{body, error::ApiError, path::Path, query::Query},
    openapi::{Operation, Takes},
    resources::webhooks::{
        WebhookView, audit_state, example, owner_lost, parse_id,
        request::{self, WebhookEdit},
        scope::Scope,
        store::{Webhook, change_webhook},
        url_in_use,
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
    let (now, edit, scope) = (app.db.now(), &edit, &Scope::to_write(&caller));
    let webhook = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let before = scope.lock(&mut transaction, id).await?;
            write(transaction, before, edit, now).await
        })
    });
    Ok(Json(webhook.await?.into()))
}

/// Describes `PATCH /v1/webhooks/{id}` in the OpenAPI document.
pub fn change_doc() -> Operation {
    Operation::new("changeWebhook", "webhooks", "Change a webhook")
        .text("A field that is left out stays as it is. `disabled` ends the pending deliveries; `description: null` removes the description, and `labels: null` the labels.")
        .body(Takes::json(request::edit_schema(), json!({"events": ["messages.final"], "description": null, "disabled": false})))
        .answers::<WebhookView>(200, "The webhook.", example())
        .problems(&["not-found", "webhook-disabled"])
}

async fn write(
    mut transaction: AuditedTransaction<'_, '_>,
    before: Webhook,
    edit: &WebhookEdit,
    now: DateTime<Utc>,
) -> Result<(Webhook, Change<'static>), ApiError> {
    let mut webhook = before.clone();
    edit.apply(&mut webhook);
    if webhook.url != before.url {
        // Nothing is known about the new receiver.
        close_circuit(&mut webhook);
        webhook.accepted_at = None;
    }
    if let (Some(false), Some(owner)) = (edit.disabled, &webhook.owner) {
        let grant = lock_grant(&mut transaction, owner).await?;
        webhook.expires_at = grant.ok_or_else(owner_lost)?.expires_at;
    }
    set_disabled(&mut webhook, edit.disabled, now);
    let changed = change_webhook(&mut transaction, &webhook).await;
    changed.map_err(url_in_use)?;
    let change = super::change(
        "webhook.change",
        webhook.id,
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
