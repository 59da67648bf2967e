//! `GET /v1/webhooks`, in the order of creation, and `GET /v1/webhooks/{id}`.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    App,
    auth::Caller,
    http::{
        error::ApiError,
        path::Path,
        query::{LIMIT, Query},
    },
    openapi::{Operation, parameters},
    resources::webhooks::{
        WebhookView, example, parse_id,
        scope::Scope,
        store::{page_of_own_webhooks, page_of_webhooks},
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
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Page>, ApiError> {
    let limit = query.limit(LIMIT);
    let after = query
        .cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('w')?).ok())
        .unwrap_or(Uuid::nil());
    query.finish()?;
    let mut connection = app.db.acquire().await?;
    let webhooks = match Scope::to_read(&caller).owner {
        None => page_of_webhooks(&mut connection, after, limit).await?,
        Some(owner) => page_of_own_webhooks(&mut connection, &owner, after, limit).await?,
    };
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
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<WebhookView>, ApiError> {
    query.finish()?;
    let scope = Scope::to_read(&caller);
    let mut connection = app.db.acquire().await?;
    let webhook = scope.load(&mut connection, parse_id(&id)?).await?;
    Ok(Json(webhook.into()))
}

/// Describes `GET /v1/webhooks` in the OpenAPI document.
pub fn list_doc() -> Operation {
    Operation::new("listWebhooks", "webhooks", "List webhooks")
        .text("In the order of their creation, with callbacks.")
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
