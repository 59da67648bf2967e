//! `GET /v1/schedules`: newest first, page by page.

use axum::{Json, extract::State};
use serde::Serialize;
use shared::db::schedules::{ScheduleStatus, load_schedules, page_of_schedules};
use uuid::Uuid;

use super::show::ScheduleView;
use crate::{App, error::ApiError, query::Query};

/// A page. The schedules in it are without counts.
#[derive(Serialize)]
pub struct Page {
    schedules: Vec<ScheduleView>,
    /// Where the next page begins; null: this is the last.
    next_cursor: Option<String>,
}

/// 200 with a page.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let status = query.choice("status", &ScheduleStatus::ALL, ScheduleStatus::as_str);
    let limit = query.number("limit", 1..=200, 50);
    let before = query.cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('s')?).ok()).unwrap_or(Uuid::max());
    query.finish()?;
    let mut connection = app.db.pool.acquire().await?;
    let ids = page_of_schedules(&mut connection, status, before, limit).await?;
    let mut schedules = load_schedules(&mut connection, &ids).await?;
    schedules.sort_unstable_by_key(|schedule| std::cmp::Reverse(schedule.id));
    let last = ids.last().filter(|_| ids.len() == limit as usize);
    let next_cursor = last.map(|last| format!("s{}", last.simple()));
    Ok(Json(Page { schedules: schedules.into_iter().map(|schedule| ScheduleView::new(schedule, None)).collect(), next_cursor }))
}
