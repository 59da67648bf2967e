//! `GET /v1/webhooks`, in the order of creation, and `GET /v1/webhooks/{id}`.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    App,
    http::{
        error::ApiError,
        path::Path,
        query::{LIMIT, Query},
    },
    openapi::{Operation, parameters},
    resources::webhooks::{
        WebhookView, example, no_such_webhook, parse_id,
        store::{load_webhook, page_of_webhooks},
    },
};

/// A page of webhooks.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "WebhookPage")]
pub struct Page {
    webhooks: Vec<WebhookView>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// Returns 200 with a page.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let limit = query.limit(LIMIT);
    let after = query
        .cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('w')?).ok())
        .unwrap_or(Uuid::nil());
    query.finish()?;
    let webhooks = page_of_webhooks(&mut *app.db.acquire().await?, after, limit).await?;
    let last = webhooks.last().filter(|_| webhooks.len() == limit as usize);
    let next_cursor = last.map(|last| format!("w{}", last.id.simple()));
    Ok(Json(Page {
        webhooks: webhooks.into_iter().map(WebhookView::from).collect(),
        next_cursor,
    }))
}

/// Returns 200 with the webhook.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<WebhookView>, ApiError> {
    query.finish()?;
    let webhook = load_webhook(&mut *app.db.acquire().await?, parse_id(&id)?).await?;
    Ok(Json(webhook.ok_or_else(no_such_webhook)?.into()))
}

/// Describes `GET /v1/webhooks` in the OpenAPI document.
pub fn list_doc() -> Operation {
    Operation::new("listWebhooks", "webhooks", "List webhooks")
        .text("In the order of their creation.")
        .queries(parameters::page(LIMIT))
        .answers::<Page>(
            200,
            "A page.",
            json!({"webhooks": [example()], "next_cursor": null}),
        )
}

/// Describes `GET /v1/webhooks/{id}` in the OpenAPI document.
pub fn show_doc() -> Operation {
    Operation::new("getWebhook", "webhooks", "Get a webhook")
        .answers::<WebhookView>(200, "The webhook.", example())
        .problems(&["not-found"])
}
