//! `POST /v1/webhooks/{id}/rotate-secret`: another secret from now on; the one before it signs too for a day. It is made of the same key of
//! the deployment, unless that is gone: the secret before it could not be made any more then, and is over at once.

use crate::resources::webhooks::store::{Webhook, load_webhook, lock_webhook, rotate_secret};
use axum::{Json, extract::State};
use serde_json::json;
use shared::events::secret::Secret;

use crate::resources::webhooks::{Handed, change, handed_example, no_such_webhook, parse_id};
use crate::{
    App,
    auth::Caller,
    http::{
        error::ApiError,
        path::Path,
        problems,
        query::Query,
        transaction::{repeat, settle},
    },
    openapi::Operation,
};

/// 200 with the webhook and its new secret. Called again, the one that was new a moment ago is the one before.
pub async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Handed>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let seen = load_webhook(&mut *app.db.pool.acquire().await?, id)
        .await?
        .ok_or_else(no_such_webhook)?;
    // Outside of the transaction: it may take a call to where the keys are.
    let (key_id, secret) = next_secret(&app, &seen)
        .await
        .map_err(|error| ApiError::Internal(format!("{error:#}")))?;
    let webhook = repeat(|| write(&app, &caller, &seen, &key_id)).await?;
    Ok(Json(Handed {
        webhook: webhook.into(),
        secret: secret.reveal(),
    }))
}

/// For the document.
pub fn rotate_doc() -> Operation {
    Operation::new("rotateWebhookSecret", "webhooks", "Another secret")
        .text("Shown once. The secret before it signs too for a day; the one before that is over.")
        .answers::<Handed>(200, "The webhook, and its new secret.", handed_example())
        .problems(&["not-found", "secret-rotated"])
}

async fn next_secret(app: &App, seen: &Webhook) -> anyhow::Result<(String, Secret)> {
    let (keys, next, now) = (
        &app.webhook_keys,
        (seen.id, seen.secret_no + 1),
        app.db.now(),
    );
    if let Some(secret) = keys.secret(&seen.key_id, next, now).await? {
        return Ok((seen.key_id.clone(), secret));
    }
    let newest = keys.current().newest().to_owned();
    let secret = keys.secret(&newest, next, now).await?;
    secret
        .map(|secret| (newest, secret))
        .ok_or_else(|| anyhow::anyhow!("there is no key for webhooks"))
}

async fn write(
    app: &App,
    caller: &Caller,
    seen: &Webhook,
    key_id: &str,
) -> Result<Webhook, ApiError> {
    let mut transaction = app.db.pool.begin().await?;
    let written = async {
        let now = app.db.now();
        let before = lock_webhook(&mut transaction, seen.id)
            .await?
            .ok_or_else(no_such_webhook)?;
        if !rotate_secret(&mut transaction, seen, key_id, now).await? {
            let detail = "expected nobody else to rotate it at the same time; nothing was changed by this call".to_owned();
            return Err(ApiError::Refused(&problems::SECRET_ROTATED, detail));
        }
        let after = json!({"key_id": key_id, "secret_no": seen.secret_no + 1});
        let before_it = json!({"key_id": before.key_id, "secret_no": before.secret_no});
        let change = change(
            "webhook.rotate-secret",
            seen.id,
            Some(before_it),
            Some(after),
        );
        caller.record(&mut transaction, now, change).await?;
        Ok(Webhook {
            rotated_at: Some(now),
            ..before
        })
    };
    let written = written.await;
    settle(transaction, written).await
}
