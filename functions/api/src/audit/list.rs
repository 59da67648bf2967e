//! `GET /v1/audit`: newest first, by time, person and thing.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use shared::db::audit::{Entry, Filter, first_id, page_of_entries, time_of};
use uuid::Uuid;

use crate::{App, error::ApiError, query::Query};

/// A page.
#[derive(Serialize)]
pub struct Page {
    entries: Vec<EntryView>,
    /// Where the next page begins; null: this is the last.
    next_cursor: Option<String>,
}

/// An entry.
#[derive(Serialize)]
struct EntryView {
    id: Uuid,
    at: DateTime<Utc>,
    actor: String,
    actor_name: String,
    address: String,
    request_id: String,
    action: String,
    thing: String,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        // Written by ourselves, so it reads.
        let json = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
        Self {
            id: entry.id,
            at: time_of(entry.id),
            actor: entry.actor,
            actor_name: entry.actor_name,
            address: entry.address,
            request_id: entry.request_id,
            action: entry.action,
            thing: entry.thing,
            before: json(entry.state_before),
            after: json(entry.state_after),
        }
    }
}

/// 200 with a page.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let limit = query.number("limit", 1..=200, 50);
    let from = query.time("from").map_or(Uuid::nil(), first_id);
    let to = query.time("to").map_or(Uuid::max(), first_id);
    let before = query.cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('a')?).ok()).unwrap_or(Uuid::max());
    let filter = Filter {
        actor: query.text("actor"),
        thing: query.text("thing"),
        action: query.word("action"),
        from,
        before: to.min(before),
    };
    query.finish()?;
    let entries = page_of_entries(&mut *app.db.pool.acquire().await?, &filter, limit).await?;
    let last = entries.last().filter(|_| entries.len() == limit as usize);
    let next_cursor = last.map(|last| format!("a{}", last.id.simple()));
    Ok(Json(Page { entries: entries.into_iter().map(EntryView::from).collect(), next_cursor }))
}
