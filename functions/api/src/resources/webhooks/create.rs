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
        webhook_owner::lock_grant,
    },
    http::{body, error::ApiError, problems, query::Query},
    openapi::{Operation, Takes},
    resources::{
        schedules::{callback_webhook::check_room, names::Labels},
        webhooks::{
            MAX_WEBHOOKS, WebhookWithSecret, audit_state, change, owner_lost,
            request::{self, WebhookRequest},
            scope::Scope,
            store::{Webhook, count_webhooks, insert_webhook},
            url_in_use, webhook_with_secret_example,
        },
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
    // The caller owns its callbacks, and every webhook if it may have only its own.
    let owner = Scope::to_write(&caller).owner;
    let webhook = Webhook {
        id: new_id(now),
        url: request.url,
        events: request.events,
        labels: request.labels.as_ref().map(Labels::to_column),
        owner: owner.or_else(|| request.callback.then(|| caller.actor())),
        is_callback: request.callback,
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
        expires_at: None,
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
    let webhook = audited_transaction(&app.db, &caller, |transaction| {
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
        .text("Events are posted to its URL. The secret with which the requests are signed is shown once. There are at most twenty webhooks, and twenty of each key with `webhooks:own`: those get \
             only events of schedules that the key has created. With `callback` it gets events of the schedules that name its URL as \
             `callback_url`.")
        .body(Takes::json(request::schema(), example))
        .makes::<WebhookWithSecret>("The webhook, and its secret.", webhook_with_secret_example())
        .problems(&["too-many-webhooks"])
}

async fn write(
    mut transaction: AuditedTransaction<'_, '_>,
    webhook: &Webhook,
) -> Result<(Webhook, Change<'static>), ApiError> {
    let mut webhook = webhook.clone();
    if let Some(owner) = &webhook.owner {
        let grant = lock_grant(&mut transaction, owner).await?;
        webhook.expires_at = grant.ok_or_else(owner_lost)?.expires_at;
    }
    let owner = webhook.owner.as_deref();
    if webhook.is_callback {
        check_room(&mut transaction, owner.unwrap_or_default()).await?;
    } else if count_webhooks(&mut transaction, owner).await? >= MAX_WEBHOOKS {
        let detail = format!("expected at most {MAX_WEBHOOKS} webhooks; remove one first");
        return Err(ApiError::Refused(&problems::TOO_MANY_WEBHOOKS, detail));
    }
    let inserted = insert_webhook(&mut transaction, &webhook).await;
    inserted.map_err(url_in_use)?;
    let after = audit_state(&webhook);
    let change = change("webhook.create", webhook.id, None, Some(after));
    Ok((webhook, change))
}
