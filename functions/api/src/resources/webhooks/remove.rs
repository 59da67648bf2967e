//! `DELETE /v1/webhooks/{id}`. First deletes the webhook's own row, without which nothing is
//! posted; then its deliveries, which may be many, in parts. A call that ends half-way leaves rows
//! that are never posted, and that retention deletes.

use std::time::Instant;

use axum::{extract::State, http::StatusCode};
use shared::platform::db::{describe::describe_one, retry_lock_conflicts};
use uuid::Uuid;

use crate::{
    App, CALL_BUDGET,
    auth::{Caller, audit::audited_transaction},
    http::{error::ApiError, path::Path, query::Query},
    openapi::Operation,
    resources::webhooks::{
        audit_state, change, parse_id,
        scope::Scope,
        store::{delete_webhook, deliveries::delete_deliveries},
    },
};

/// A part is small, so that its rows are locked only for a moment.
const ROWS: u32 = 1_000;

/// Returns 204, or 404 if the webhook did not exist.
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    let (id, scope) = (parse_id(&id)?, &Scope::to_write(&caller));
    audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let before = scope.lock(&mut transaction, id).await?;
            delete_webhook(&mut transaction, id).await?;
            let change = change("webhook.delete", id, Some(audit_state(&before)), None);
            Ok(((), change))
        })
    })
    .await?;
    if let Err(error) = delete_all_deliveries(&app, id).await {
        // The webhook is removed in any case.
        tracing::warn!(webhook.id = %id, error = describe_one(&error), "deliveries of a removed webhook stay until retention deletes them");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Describes `DELETE /v1/webhooks/{id}` in the OpenAPI document.
pub fn remove_doc() -> Operation {
    Operation::new("deleteWebhook", "webhooks", "Delete a webhook")
        .text("Also deletes its deliveries. Pending deliveries are not posted any more.")
        .answers_nothing("The webhook is deleted.")
        .problems(&["not-found"])
}

async fn delete_all_deliveries(app: &App, id: Uuid) -> sqlx::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < CALL_BUDGET {
        let part = || async { delete_deliveries(&mut *app.db.acquire().await?, id, ROWS).await };
        if retry_lock_conflicts(part).await? < ROWS.into() {
            break;
        }
    }
    Ok(())
}
