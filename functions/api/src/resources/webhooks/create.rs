//! `POST /v1/webhooks`: creates a webhook.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
};
use serde_json::json;
use shared::access::audit::new_id;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
    },
    http::{body, error::ApiError, problems, query::Query},
    openapi::{Operation, Takes},
    resources::webhooks::{
        MAX_WEBHOOKS, WebhookWithSecret, audit_state, change,
        request::{self, WebhookRequest},
        store::{Webhook, count_webhooks, insert_webhook},
        webhook_with_secret_example,
    },
};

type Answer = (
    StatusCode,
    [(HeaderName, String); 1],
    Json<WebhookWithSecret>,
);

/// Returns 201 with the webhook and its secret.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer, ApiError> {
    query.finish()?;
    let request = WebhookRequest::read(
        &body::read_small_json(&headers, body).await?,
        app.webhook_targets,
    )?;
    let now = app.db.now();
    let webhook = Webhook {
        id: new_id(now),
        url: request.url,
        events: request.events,
        description: request.description,
        key_id: app.webhook_keys.current().newest().to_owned(),
        secret_no: 1,
        rotated_at: None,
        failing_since: None,
        failures: 0,
        accepted_at: None,
        suspended_until: None,
        disabled_at: None,
        disabled_reason: None,
        created_at: now,
        created_by: caller.actor(),
    };
    let secret = app
        .webhook_keys
        .secret(&webhook.key_id, webhook.id, webhook.secret_no, now)
        .await;
    let secret = secret.ok().flatten().ok_or_else(|| {
        ApiError::Internal("there is no key for the secrets of webhooks".to_owned())
    })?;
    let new = &webhook;
    audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(transaction, new))
    })
    .await?;
    let location = format!("/v1/webhooks/{}", webhook.id);
    let created = WebhookWithSecret {
        webhook: webhook.into(),
        secret: secret.reveal(),
    };
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(created),
    ))
}

/// Describes `POST /v1/webhooks` in the OpenAPI document.
pub fn create_doc() -> Operation {
    let example = json!({"url": "https://example.com/sms-events", "events": ["schedule.finished", "messages.final"], "description": "The shop"});
    Operation::new("createWebhook", "webhooks", "Create a webhook")
        .text("Events are posted to its URL. The secret with which the requests are signed is shown once. There are at most twenty webhooks.")
        .body(Takes::json(request::schema(), example))
        .makes::<WebhookWithSecret>("The webhook, and its secret.", webhook_with_secret_example())
        .problems(&["too-many-webhooks"])
}

async fn write(
    mut transaction: AuditedTransaction<'_, '_>,
    webhook: &Webhook,
) -> Result<((), Change<'static>), ApiError> {
    if count_webhooks(&mut transaction).await? >= MAX_WEBHOOKS {
        let detail = format!("expected at most {MAX_WEBHOOKS} webhooks; remove one first");
        return Err(ApiError::Refused(&problems::TOO_MANY_WEBHOOKS, detail));
    }
    insert_webhook(&mut transaction, webhook).await?;
    let change = change(
        "webhook.create",
        webhook.id,
        None,
        Some(audit_state(webhook)),
    );
    Ok(((), change))
}
