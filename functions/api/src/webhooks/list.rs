//! `GET /v1/webhooks`, in the order of their making, and `GET /v1/webhooks/{id}`.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use shared::db::webhooks::{load_webhook, page_of_webhooks};
use uuid::Uuid;

use super::{WebhookView, no_such_webhook, parse_id};
use crate::{App, error::ApiError, query::Query};

/// A page.
#[derive(Serialize)]
pub struct Page {
    webhooks: Vec<WebhookView>,
    /// Where the next page begins; null: this is the last.
    next_cursor: Option<String>,
}

/// 200 with a page.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let limit = query.number("limit", 1..=200, 50);
    let after = query.cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('w')?).ok()).unwrap_or(Uuid::nil());
    query.finish()?;
    let webhooks = page_of_webhooks(&mut *app.db.pool.acquire().await?, after, limit).await?;
    let last = webhooks.last().filter(|_| webhooks.len() == limit as usize);
    let next_cursor = last.map(|last| format!("w{}", last.id.simple()));
    Ok(Json(Page { webhooks: webhooks.into_iter().map(WebhookView::from).collect(), next_cursor }))
}

/// 200 with the webhook.
pub async fn show(State(app): State<App>, Path(id): Path<String>, query: Query) -> Result<Json<WebhookView>, ApiError> {
    query.finish()?;
    let webhook = load_webhook(&mut *app.db.pool.acquire().await?, parse_id(&id)?).await?;
    Ok(Json(webhook.ok_or_else(no_such_webhook)?.into()))
}
