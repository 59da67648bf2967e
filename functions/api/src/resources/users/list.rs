//! `GET /v1/users`: lists users in the order of their creation, page by page.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    App,
    http::{
        error::ApiError,
        query::{LIMIT, Query},
    },
    openapi::{Operation, parameters},
    resources::users::{UserView, example, store::page_of_users},
};

/// A page of users.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UserPage")]
pub struct Page {
    users: Vec<UserView>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// Returns 200 with a page.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let limit = query.limit(LIMIT);
    let after = query
        .cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('u')?).ok())
        .unwrap_or(Uuid::nil());
    query.finish()?;
    let users = page_of_users(&mut *app.db.acquire().await?, after, limit).await?;
    let last = users.last().filter(|_| users.len() == limit as usize);
    let next_cursor = last.map(|last| format!("u{}", last.id.simple()));
    Ok(Json(Page {
        users: users.into_iter().map(UserView::from).collect(),
        next_cursor,
    }))
}

/// Describes `GET /v1/users` in the OpenAPI document.
pub fn list_doc() -> Operation {
    Operation::new("listUsers", "users", "List users")
        .text("In the order of their creation.")
        .queries(parameters::page(LIMIT))
        .answers::<Page>(
            200,
            "A page.",
            json!({"users": [example()], "next_cursor": null}),
        )
}
