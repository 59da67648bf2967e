//! `GET /v1/webhooks/{id}/deliveries`: what was posted, is to be posted, and could not be; newest first.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use shared::{
    db::webhooks::{DeliveryFilter, DeliveryRow, load_webhook, page_of_deliveries},
    webhooks::EventType,
};
use uuid::Uuid;

use super::{no_such_webhook, parse_id};
use crate::{App, error::ApiError, query::Query};

/// A page.
#[derive(Serialize)]
pub struct Page {
    deliveries: Vec<DeliveryRow>,
    /// Where the next page begins; null: this is the last.
    next_cursor: Option<String>,
}

/// 200 with a page.
pub async fn list(State(app): State<App>, Path(id): Path<String>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let types: Vec<_> = EventType::ALL.into_iter().chain([EventType::Test]).collect();
    let filter = DeliveryFilter {
        status: query.choice("status", &["pending", "delivered", "failed"], |word| word),
        r#type: query.choice("type", &types, EventType::as_str).map(EventType::as_str),
    };
    let limit = query.number("limit", 1..=200, 50);
    let before = query.cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('d')?).ok()).unwrap_or(Uuid::max());
    query.finish()?;
    let id = parse_id(&id)?;
    let mut connection = app.db.pool.acquire().await?;
    load_webhook(&mut connection, id).await?.ok_or_else(no_such_webhook)?;
    let deliveries = page_of_deliveries(&mut connection, id, filter, (before, limit)).await?;
    let last = deliveries.last().filter(|_| deliveries.len() == limit as usize);
    let next_cursor = last.map(|last| format!("d{}", last.event_id.simple()));
    Ok(Json(Page { deliveries, next_cursor }))
}

pub(super) fn no_such_delivery() -> ApiError {
    ApiError::NotFound("there is no delivery of this event to this webhook".to_owned())
}
