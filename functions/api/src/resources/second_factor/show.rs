//! `GET /v1/auth/second-factor`.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::{
    App,
    auth::{
        Caller,
        second_factor::store::{count_recovery_codes, lock_factor},
    },
    http::{error::ApiError, query::Query},
    openapi::Operation,
    resources::second_factor::person,
};

/// The second factor of the caller.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SecondFactor")]
pub struct SecondFactor {
    /// Whether a login needs a code.
    enabled: bool,
    /// Whether the caller's role has to have one: without it, all other calls are refused.
    required: bool,
    /// Since when; null: it is not enabled.
    confirmed_at: Option<DateTime<Utc>>,
    /// Recovery codes that were not used.
    recovery_codes_left: u64,
}

/// Returns 200 with the state.
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Result<Json<SecondFactor>, ApiError> {
    query.finish()?;
    let id = person(&caller)?;
    let mut connection = app.db.acquire().await?;
    let row = lock_factor(&mut connection, id).await?;
    let confirmed_at = row.and_then(|row| row.confirmed_at);
    Ok(Json(SecondFactor {
        enabled: confirmed_at.is_some(),
        required: caller
            .role
            .is_some_and(|role| app.gate.second_factor.includes(role)),
        confirmed_at,
        recovery_codes_left: count_recovery_codes(&mut connection, id).await?,
    }))
}

/// Describes `GET /v1/auth/second-factor` in the OpenAPI document.
pub fn show_doc() -> Operation {
    let example = json!({"enabled": true, "required": true, "confirmed_at": "2026-12-01T01:00:00Z", "recovery_codes_left": 10});
    Operation::new(
        "getSecondFactor",
        "auth",
        "See whether your logins need a code",
    )
    .text("Only for people who have logged in with a password.")
    .answers::<SecondFactor>(200, "The second factor.", example)
}
