//! `GET /v1/schedules/{id}/recipients`: who got what, page by page in the order of the list.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use shared::{
    db::{
        recipients::{Recipient, page_of_recipients},
        schedules::load_schedule,
    },
    status::Status,
};

use crate::{App, error::ApiError, query::Query, schedules::show::parse_id};

/// A page.
#[derive(Serialize)]
pub struct Page {
    recipients: Vec<Recipient>,
    /// Where the next page begins; null: this is the last.
    next_cursor: Option<String>,
}

/// 200 with a page.
pub async fn list(State(app): State<App>, Path(id): Path<String>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let id = parse_id(&id)?;
    let status = query.choice("status", &Status::ALL, Status::as_str);
    let limit = query.number("limit", 1..=1_000, 100);
    let after = query.cursor(|cursor| u32::from_str_radix(cursor.strip_prefix('r')?, 16).ok()).unwrap_or_default();
    query.finish()?;
    let mut connection = app.db.pool.acquire().await?;
    load_schedule(&mut connection, id).await?.ok_or_else(ApiError::no_such_schedule)?;
    let recipients = page_of_recipients(&mut connection, id, status, (after, limit)).await?;
    let last = recipients.last().filter(|_| recipients.len() == limit as usize);
    let next_cursor = last.map(|last| format!("r{:x}", last.seq));
    Ok(Json(Page { recipients, next_cursor }))
}
