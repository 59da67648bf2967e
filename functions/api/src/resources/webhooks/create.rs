//! `POST /v1/webhooks`.

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
        Handed, MOST_WEBHOOKS, change, handed_example, logged,
        request::{self, WebhookRequest},
        store::{Webhook, count_webhooks, insert_webhook},
    },
};

type Answer = (StatusCode, [(HeaderName, String); 1], Json<Handed>);

/// 201 with the webhook and its secret.
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
        disabled_at: None,
        disabled_reason: None,
        created_at: now,
        created_by: caller.actor(),
    };
    let secret = app
        .webhook_keys
        .secret(&webhook.key_id, (webhook.id, webhook.secret_no), now)
        .await;
    let secret = secret
        .ok()
        .flatten()
        .ok_or_else(|| ApiError::Internal("there is no key for webhooks".to_owned()))?;
    let new = &webhook;
    audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(transaction, new))
    })
    .await?;
    let location = format!("/v1/webhooks/{}", webhook.id);
    let handed = Handed {
        webhook: webhook.into(),
        secret: secret.reveal(),
    };
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(handed),
    ))
}

/// For the document.
pub fn create_doc() -> Operation {
    let example = json!({"url": "https://example.com/sms-events", "events": ["schedule.finished", "messages.final"], "description": "The shop"});
    Operation::new("createWebhook", "webhooks", "Have a URL told what happens")
        .text("The secret that its requests are signed with is shown once. At most twenty.")
        .body(Takes::json(request::schema(), example))
        .makes::<Handed>("The webhook, and its secret.", handed_example())
        .problems(&["too-many-webhooks"])
}

async fn write(
    mut transaction: AuditedTransaction<'_, '_>,
    webhook: &Webhook,
) -> Result<((), Change<'static>), ApiError> {
    if count_webhooks(&mut transaction).await? >= MOST_WEBHOOKS {
        let detail = format!("expected at most {MOST_WEBHOOKS} webhooks; remove one first");
        return Err(ApiError::Refused(&problems::TOO_MANY_WEBHOOKS, detail));
    }
    insert_webhook(&mut transaction, webhook).await?;
    let change = change("webhook.create", webhook.id, None, Some(logged(webhook)));
    Ok(((), change))
}
