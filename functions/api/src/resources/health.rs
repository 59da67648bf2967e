//! `GET /health`: that the function answers, what it was built from, and whether the database answers it.

use std::time::Duration;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::{App, http::error::ApiError, openapi::Operation};

/// The longest wait for the database of a health check, shorter than a load balancer's time-out.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// What answers.
#[derive(JsonSchema, Serialize)]
pub struct Health {
    #[schemars(extend("const" = OK))]
    status: &'static str,
    version: &'static str,
    /// What it was built from.
    commit: String,
    #[schemars(extend("const" = OK))]
    database: &'static str,
}

const OK: &str = "ok";

/// 200, or a problem with the same members and 503.
pub async fn health(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    match tokio::time::timeout(HEALTH_TIMEOUT, app.db.ping()).await {
        Ok(Ok(())) => Ok(Json(Health {
            status: OK,
            version: env!("CARGO_PKG_VERSION"),
            commit: app.commit,
            database: OK,
        })),
        _ => Err(ApiError::Unhealthy { commit: app.commit }),
    }
}

/// For the document.
pub fn health_doc() -> Operation {
    let example = json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "commit": "c0ffee", "database": "ok"});
    Operation::new("getHealth", "about", "Whether it answers")
        .text("Also whether the database answers, and what this was built from. A load balancer may put anything behind `?`.")
        .answers::<Health>(200, "All is well.", example)
        .any_query()
}
