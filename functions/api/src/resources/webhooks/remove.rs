//! `DELETE /v1/webhooks/{id}`. First the webhook's own row, without which nothing is posted; then its deliveries, which may be many, part by
//! part. A call that ends half-way leaves rows that nobody posts, and that go with their age.

use std::time::Instant;

use crate::resources::webhooks::store::{delete_deliveries, delete_webhook, lock_webhook};
use axum::{extract::State, http::StatusCode};
use shared::platform::db::{describe::describe_one, retry_lock_conflicts};
use uuid::Uuid;

use crate::resources::webhooks::{change, logged, no_such_webhook, parse_id};
use crate::{
    App, CALL_BUDGET,
    auth::Caller,
    http::{
        error::ApiError,
        path::Path,
        query::Query,
        transaction::{repeat, settle},
    },
    openapi::Operation,
};

/// Few enough to be locked for a moment only.
const ROWS: u32 = 1_000;

/// 204; 404: it was not there.
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    repeat(|| async {
        let mut transaction = app.db.pool.begin().await?;
        let removed = async {
            let before = lock_webhook(&mut transaction, id)
                .await?
                .ok_or_else(no_such_webhook)?;
            delete_webhook(&mut transaction, id).await?;
            let change = change("webhook.delete", id, Some(logged(&before)), None);
            Ok(caller
                .record(&mut transaction, app.db.now(), change)
                .await?)
        };
        let removed = removed.await;
        settle(transaction, removed).await
    })
    .await?;
    if let Err(error) = clear(&app, id).await {
        // It is removed all the same.
        tracing::warn!(webhook.id = %id, error = describe_one(&error), "deliveries of a removed webhook stay until they are old");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// For the document.
pub fn remove_doc() -> Operation {
    Operation::new("deleteWebhook", "webhooks", "Remove one")
        .text("With what was posted to it. What waits for it is posted no more.")
        .answers_nothing("It is removed.")
        .problems(&["not-found"])
}

async fn clear(app: &App, id: Uuid) -> sqlx::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < CALL_BUDGET {
        let part =
            || async { delete_deliveries(&mut *app.db.pool.acquire().await?, id, ROWS).await };
        if retry_lock_conflicts(part).await? < ROWS.into() {
            break;
        }
    }
    Ok(())
}
