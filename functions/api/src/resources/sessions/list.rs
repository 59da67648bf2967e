//! `GET /v1/auth/sessions` and `DELETE /v1/auth/sessions/{id}`: a person's own logins.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, Identity, audit::audited_transaction, caller::Change},
    http::{error::ApiError, path::Path, query::Query},
    openapi::Operation,
    resources::sessions::store::{SessionRow, end_session_of, open_sessions},
};

/// Sessions in a list, the newest first. A person has few; older ones remain valid, and are ended by
/// `POST /v1/auth/logout?everywhere=true`.
const MOST: u32 = 200;

/// A login.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Session")]
pub struct SessionView {
    id: Uuid,
    /// Whether it is the session of this call.
    current: bool,
    /// The address of the login.
    address: String,
    created_at: DateTime<Utc>,
    /// When tokens were issued last: at the login, or at a refresh.
    last_used_at: DateTime<Utc>,
    /// When it ends, if it does not end before.
    expires_at: DateTime<Utc>,
}

/// The sessions of the caller that have not ended.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Sessions")]
pub struct SessionList {
    /// The newest first.
    sessions: Vec<SessionView>,
}

/// Returns 200 with the caller's sessions.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Result<Json<SessionList>, ApiError> {
    query.finish()?;
    let Identity::User { id, session } = caller.identity else {
        return Err(ApiError::Forbidden(None));
    };
    let now = app.db.now();
    let rows = open_sessions(&mut *app.db.acquire().await?, id, now, MOST).await?;
    let view = |row: SessionRow| SessionView {
        id: row.id,
        current: row.id == session,
        address: row.address,
        created_at: row.created_at,
        last_used_at: row.last_used_at.unwrap_or(row.created_at),
        expires_at: row.expires_at,
    };
    Ok(Json(SessionList {
        sessions: rows.into_iter().map(view).collect(),
    }))
}

/// Returns 204. The tokens of the session are void at once. A second call changes nothing.
pub async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(session): Path<String>,
    query: Query,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    let Identity::User { id, .. } = caller.identity else {
        return Err(ApiError::Forbidden(None));
    };
    let no_such = || ApiError::NotFound("you have no session with this id".to_owned());
    let session = Uuid::try_parse(&session).map_err(|_| no_such())?;
    let app = &app;
    audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let ended = end_session_of(&mut transaction, id, session, app.db.now())
                .await?
                .ok_or_else(no_such)?;
            let change = ended.then(|| Change {
                action: "session.revoke",
                resource: format!("user:{id}"),
                after: Some(json!({"session": session})),
                ..Change::default()
            });
            Ok(((), change))
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Describes `GET /v1/auth/sessions` in the OpenAPI document.
pub fn list_doc() -> Operation {
    let session = json!({
        "id": "0190a0b0-c0d0-7080-8000-00000000000f",
        "current": true,
        "address": "203.0.113.7",
        "created_at": "2026-12-01T01:00:00Z",
        "last_used_at": "2026-12-01T09:12:00Z",
        "expires_at": "2026-12-31T01:00:00Z",
    });
    Operation::new("listSessions", "auth", "List your own sessions")
        .text("The logins that have not ended, the newest first, at most 200. Only for people who have logged in with a password.")
        .answers::<SessionList>(200, "The sessions.", json!({"sessions": [session]}))
}

/// Describes `DELETE /v1/auth/sessions/{id}` in the OpenAPI document.
pub fn revoke_doc() -> Operation {
    Operation::new("revokeSession", "auth", "End one of your own sessions")
        .text("Its tokens are void at once. A second call changes nothing.")
        .answers_nothing("The session has ended.")
        .problems(&["not-found"])
}
