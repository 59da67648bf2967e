//! `POST /v1/auth/logout`: ends the session, or with `?everywhere=true` all sessions of the user.
//! Their access tokens are void at once.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;
use shared::access::users::end_sessions;

use crate::{
    App,
    auth::{Caller, Identity, audit::audited_transaction, caller::Change},
    http::{error::ApiError, query::Query},
    openapi::{Operation, parameters::flag},
    resources::sessions::{cookie, store::end_session},
};

/// Returns 204.
pub async fn logout(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let everywhere = query.choice("everywhere", &["false", "true"], |value| value) == Some("true");
    query.finish()?;
    let Identity::User { id, session } = caller.identity else {
        return Err(ApiError::Forbidden(None));
    };
    let app = &app;
    audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let now = app.db.now();
            let sessions = if everywhere {
                end_sessions(&mut transaction, id, now).await?
            } else {
                u64::from(end_session(&mut transaction, session, now).await?)
            };
            let after =
                json!({"session": session, "everywhere": everywhere, "sessions_ended": sessions});
            let change = Change {
                action: "logout",
                resource: format!("user:{id}"),
                after: Some(after),
                ..Change::default()
            };
            Ok(((), change))
        })
    })
    .await?;
    let expired = cookie::expire_refresh_cookie(&headers);
    Ok((StatusCode::NO_CONTENT, expired).into_response())
}

/// Describes `POST /v1/auth/logout` in the OpenAPI document.
pub fn logout_doc() -> Operation {
    Operation::new("logOut", "auth", "Log out")
        .text("Ends the session; its tokens are void at once, and a cookie with the refresh token is removed.")
        .query(
            "everywhere",
            flag(),
            "End all sessions of the user, not only this one.",
        )
        .answers_nothing("The session has ended.")
}
