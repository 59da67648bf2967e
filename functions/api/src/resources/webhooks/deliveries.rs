//! `GET /v1/webhooks/{id}/deliveries`: lists deliveries that are pending, delivered or failed;
//! newest first.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::events::EventType;
use uuid::Uuid;

use crate::{
    App,
    auth::Caller,
    http::{
        error::ApiError,
        page::PageRequest,
        path::Path,
        query::{LIMIT, Query},
    },
    openapi::{Operation, parameters},
    resources::webhooks::{
        delivery_example, parse_id,
        scope::Scope,
        store::deliveries::{DeliveryFilter, DeliveryRow, page_of_deliveries},
    },
};

const STATUSES: [&str; 3] = ["pending", "delivered", "failed"];

fn types() -> Vec<EventType> {
    EventType::ALL
        .into_iter()
        .chain([EventType::Test])
        .collect()
}

/// A page of deliveries.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "DeliveryPage")]
pub struct Page {
    deliveries: Vec<DeliveryRow>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// Returns 200 with a page.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    mut query: Query,
) -> Result<Json<Page>, ApiError> {
    let types = types();
    let filter = DeliveryFilter {
        status: query.choice("status", &STATUSES, |status| status),
        r#type: query
            .choice("type", &types, EventType::as_str)
            .map(EventType::as_str),
    };
    let limit = query.limit(LIMIT);
    let before = query
        .cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('d')?).ok())
        .unwrap_or(Uuid::max());
    query.finish()?;
    let id = parse_id(&id)?;
    let page = PageRequest {
        after: before,
        limit,
    };
    let mut connection = app.db.acquire().await?;
    Scope::to_read(&caller).load(&mut connection, id).await?;
    let deliveries = page_of_deliveries(&mut connection, id, filter, page).await?;
    let last = deliveries
        .last()
        .filter(|_| deliveries.len() == limit as usize);
    let next_cursor = last.map(|last| format!("d{}", last.event_id.simple()));
    Ok(Json(Page {
        deliveries,
        next_cursor,
    }))
}

/// Describes `GET /v1/webhooks/{id}/deliveries` in the OpenAPI document.
pub fn list_doc() -> Operation {
    let types: Vec<_> = types().into_iter().map(EventType::as_str).collect();
    Operation::new(
        "listDeliveries",
        "webhooks",
        "List the deliveries to a webhook",
    )
    .text("Newest first.")
    .query(
        "status",
        json!({"type": "string", "enum": STATUSES}),
        "Only deliveries in this state.",
    )
    .query(
        "type",
        json!({"type": "string", "enum": types}),
        "Only events of this type.",
    )
    .queries(parameters::page(LIMIT))
    .answers::<Page>(
        200,
        "A page.",
        json!({"deliveries": [delivery_example()], "next_cursor": null}),
    )
    .problems(&["not-found"])
}

pub(super) fn no_such_delivery() -> ApiError {
    ApiError::NotFound("there is no delivery of this event to this webhook".to_owned())
}
