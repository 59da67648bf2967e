//! The webhook of a `callback_url`. The URL is stored once per owner, as a webhook that gets events of
//! the schedules that name it; a schedule holds the id, so that neither an answer about a schedule
//! nor the audit log contains the URL.

use serde_json::json;
use shared::{
    access::{Permission::WebhooksOwn, audit::new_id},
    events::{EventType, target::without_secrets},
    platform::secret::hash_token,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
        webhook_owner::lock_grant,
    },
    http::{error::ApiError, problems},
    resources::schedules::store::callbacks::{
        NewCallback, count_callbacks, find_callback, insert_callback,
    },
};

/// The largest number of callbacks of an owner.
const MAX_CALLBACKS: i64 = 1_000;

/// Returns an error if an owner has as many callbacks as it may have. Two calls at the same time may
/// exceed the number by one.
pub async fn check_room(connection: &mut MySqlConnection, owner: &str) -> Result<(), ApiError> {
    if count_callbacks(connection, owner).await? < MAX_CALLBACKS {
        return Ok(());
    }
    let detail = format!(
        "expected at most {MAX_CALLBACKS} callback URLs; use one for many schedules, because each event names its schedule"
    );
    Err(ApiError::Refused(&problems::TOO_MANY_WEBHOOKS, detail))
}

/// Returns the id of the caller's callback with this URL, which is created if there is none.
///
/// It has a transaction of its own, so that calls with the same URL do not wait for each other while
/// they write their recipients. A callback that is left without a schedule gets no events.
pub async fn find_or_create(app: &App, caller: &Caller, url: &str) -> Result<Uuid, ApiError> {
    let (owner, hash) = (caller.actor(), hash_token(url));
    let (owner, hash) = (owner.as_str(), hash.as_slice());
    if let Some(found) = find(app, owner, hash).await? {
        return Ok(found);
    }
    // The attempt at an idempotent call is recorded with the schedule.
    let caller = Caller {
        attempt: None,
        ..caller.clone()
    };
    let created = audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(create(app, transaction, owner, url))
    });
    match created.await {
        Err(ApiError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => {
            // Another call has created it since.
            let found = find(app, owner, hash).await?;
            found.ok_or_else(|| ApiError::Internal("a callback is gone".to_owned()))
        }
        created => created,
    }
}

/// Returns the id of a callback that exists, and an error if it is disabled.
async fn find(app: &App, owner: &str, hash: &[u8]) -> Result<Option<Uuid>, ApiError> {
    let found = find_callback(&mut *app.db.acquire().await?, owner, hash).await?;
    if let Some(disabled) = found.filter(|found| found.disabled) {
        let id = disabled.id;
        let detail = format!("expected a callback that is not disabled; enable webhook {id} first");
        return Err(ApiError::Refused(&problems::WEBHOOK_DISABLED, detail));
    }
    Ok(found.map(|found| found.id))
}

async fn create(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    owner: &str,
    url: &str,
) -> Result<(Uuid, Change<'static>), ApiError> {
    let grant = lock_grant(&mut transaction, owner).await?;
    let grant = grant.ok_or(ApiError::Forbidden(Some(WebhooksOwn)))?;
    check_room(&mut transaction, owner).await?;
    let now = app.db.now();
    let id = new_id(now);
    let events = EventType::ALL.map(EventType::as_str).join(",");
    let new = NewCallback {
        id,
        url,
        hash: &hash_token(url),
        events: &events,
        owner,
        expires_at: grant.expires_at,
        key_id: app.webhook_keys.current().newest().to_owned(),
        created_at: now,
    };
    insert_callback(&mut transaction, &new).await?;
    let change = Change {
        action: "webhook.create",
        resource: format!("webhook:{id}"),
        before: None,
        after: Some(
            json!({"url": without_secrets(url), "events": events, "owner": owner, "callback": true}),
        ),
    };
    Ok((id, change))
}
