//! `GET /v1/users/{id}`: returns a user.

use axum::{Json, extract::State};

use crate::{
    App,
    http::{error::ApiError, path::Path, query::Query},
    openapi::Operation,
    resources::users::{UserView, example, no_such_user, parse_id, store::lock_user},
};

/// Returns 200 with the user.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<UserView>, ApiError> {
    query.finish()?;
    let user = lock_user(&mut *app.db.acquire().await?, parse_id(&id)?).await?;
    Ok(Json(user.ok_or_else(no_such_user)?.into()))
}

/// Describes `GET /v1/users/{id}` in the OpenAPI document.
pub fn show_doc() -> Operation {
    Operation::new("getUser", "users", "Get a user")
        .answers::<UserView>(200, "The user.", example())
        .problems(&["not-found"])
}
