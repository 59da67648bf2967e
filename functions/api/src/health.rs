//! `GET /health`: that the function answers, what it was built from, and whether the database answers it.

use axum::{Json, extract::State};
use serde_json::{Value, json};
use shared::patience::HEALTH;

use crate::{App, error::ApiError};

/// 200, or a problem with the same members and 503.
pub async fn health(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    match tokio::time::timeout(HEALTH, app.db.ping()).await {
        Ok(Ok(())) => {
            Ok(Json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "commit": app.commit, "database": "ok"})))
        }
        _ => Err(ApiError::Unhealthy { commit: app.commit }),
    }
}
