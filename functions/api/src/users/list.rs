//! `GET /v1/users`: in the order of their making, page by page.

use axum::{Json, extract::State};
use serde::Serialize;
use shared::db::users::page_of_users;
use uuid::Uuid;

use super::UserView;
use crate::{App, error::ApiError, query::Query};

/// A page.
#[derive(Serialize)]
pub struct Page {
    users: Vec<UserView>,
    /// Where the next page begins; null: this is the last.
    next_cursor: Option<String>,
}

/// 200 with a page.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let limit = query.number("limit", 1..=200, 50);
    let after = query.cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('u')?).ok()).unwrap_or(Uuid::nil());
    query.finish()?;
    let users = page_of_users(&mut *app.db.pool.acquire().await?, after, limit).await?;
    let last = users.last().filter(|_| users.len() == limit as usize);
    let next_cursor = last.map(|last| format!("u{}", last.id.simple()));
    Ok(Json(Page { users: users.into_iter().map(UserView::from).collect(), next_cursor }))
}
