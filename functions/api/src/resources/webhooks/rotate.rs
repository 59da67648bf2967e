//! `POST /v1/webhooks/{id}/rotate-secret`: sets a new secret; the secret before it also signs for a
//! day. The new secret is derived from the same key of the deployment, unless that key no longer
//! exists: then the secret before it cannot be derived any more, and is void at once.

use axum::{Json, extract::State};
use serde_json::json;
use shared::events::secret::Secret;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
    },
    http::{error::ApiError, path::Path, problems, query::Query},
    openapi::Operation,
    resources::webhooks::{
        WebhookWithSecret, change, no_such_webhook, parse_id,
        scope::Scope,
        store::{Webhook, lock_webhook, rotate_secret},
        webhook_with_secret_example,
    },
};

/// Returns 200 with the webhook and its new secret. After another call this secret is the one
/// before the newest.
pub async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<WebhookWithSecret>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let scope = Scope::to_write(&caller);
    let seen = scope.load(&mut *app.db.acquire().await?, id).await?;
    // Not in the transaction, because it may call the store of the keys.
    let (key_id, secret) = next_secret(&app, &seen)
        .await
        .map_err(|error| ApiError::Internal(format!("{error:#}")))?;
    let webhook = {
        let (app, seen, key_id) = (&app, &seen, key_id.as_str());
        audited_transaction(&app.db, &caller, |transaction| {
            Box::pin(write(app, transaction, seen, key_id))
        })
        .await?
    };
    Ok(Json(WebhookWithSecret {
        webhook: webhook.into(),
        secret: secret.reveal(),
    }))
}

/// Describes `POST /v1/webhooks/{id}/rotate-secret` in the OpenAPI document.
pub fn rotate_doc() -> Operation {
    Operation::new("rotateWebhookSecret", "webhooks", "Rotate the secret")
        .text("The new secret is shown once. The secret before it also signs for a day; the one before that is void.")
        .answers::<WebhookWithSecret>(200, "The webhook, and its new secret.", webhook_with_secret_example())
        .problems(&["not-found", "secret-rotated"])
}

async fn next_secret(app: &App, seen: &Webhook) -> anyhow::Result<(String, Secret)> {
    let (keys, now) = (&app.webhook_keys, app.db.now());
    let (id, next_no) = (seen.id, seen.secret_no + 1);
    if let Some(secret) = keys.secret(&seen.key_id, id, next_no, now).await? {
        return Ok((seen.key_id.clone(), secret));
    }
    let newest = keys.current().newest().to_owned();
    let secret = keys.secret(&newest, id, next_no, now).await?;
    secret
        .map(|secret| (newest, secret))
        .ok_or_else(|| anyhow::anyhow!("there is no key for the secrets of webhooks"))
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    seen: &Webhook,
    key_id: &str,
) -> Result<(Webhook, Change<'static>), ApiError> {
    let now = app.db.now();
    let before = lock_webhook(&mut transaction, seen.id)
        .await?
        .ok_or_else(no_such_webhook)?;
    if !rotate_secret(&mut transaction, seen, key_id, now).await? {
        let detail = "expected no other call to rotate the secret at the same time; this call changed nothing";
        return Err(ApiError::Refused(
            &problems::SECRET_ROTATED,
            detail.to_owned(),
        ));
    }
    let change = change(
        "webhook.rotate-secret",
        seen.id,
        Some(json!({"key_id": before.key_id, "secret_no": before.secret_no})),
        Some(json!({"key_id": key_id, "secret_no": seen.secret_no + 1})),
    );
    let webhook = Webhook {
        rotated_at: Some(now),
        ..before
    };
    Ok((webhook, change))
}
