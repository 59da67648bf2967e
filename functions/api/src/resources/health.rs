//! `GET /health`: reports that the function answers and the commit from which it was built; with
//! `?deep=true` also whether the database answers. Without it, calls cost no connection.

use std::time::Duration;

use axum::{
    Json,
    extract::{RawQuery, State},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::{
    App,
    auth::access::Access::Public,
    http::error::ApiError,
    openapi::{Operation, ProblemMembers},
    route::{Route, get},
};

/// Returns the route.
pub fn table() -> Vec<Route> {
    vec![get("/health", Public, health, health_doc)]
}

/// The members that a 503 of this route adds to the problem document.
pub const PROBLEM_MEMBERS: ProblemMembers = ProblemMembers {
    problems: &["unavailable"],
    properties: |_| {
        json!({
            "version": {"type": "string"},
            "commit": {"type": "string"},
            "database": {"const": "unavailable"},
        })
    },
    required: &[],
};

/// The longest wait for the database of a health check, shorter than a load balancer's time-out.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// The health of the function.
#[derive(JsonSchema, Serialize)]
pub struct Health {
    #[schemars(extend("const" = OK))]
    status: &'static str,
    version: &'static str,
    /// The commit from which it was built.
    commit: String,
    /// With `deep=true`.
    #[schemars(extend("const" = OK))]
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<&'static str>,
}

const OK: &str = "ok";

/// Returns 200, or 503 with a problem that has the same members.
pub async fn health(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Health>, ApiError> {
    let query = query.unwrap_or_default();
    let is_deep = query.split('&').any(|pair| pair == "deep=true");
    if is_deep {
        let answer = tokio::time::timeout(HEALTH_TIMEOUT, app.db.ping()).await;
        if !matches!(answer, Ok(Ok(()))) {
            return Err(ApiError::Unhealthy { commit: app.commit });
        }
    }
    Ok(Json(Health {
        status: OK,
        version: env!("CARGO_PKG_VERSION"),
        commit: app.commit,
        database: is_deep.then_some(OK),
    }))
}

/// Describes `GET /health` in the OpenAPI document.
pub fn health_doc() -> Operation {
    let example = json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "commit": "c0ffee", "database": "ok"});
    Operation::new("getHealth", "about", "Check whether the API answers")
        .text("Returns the commit from which the API was built. Any other query string is accepted, for load balancers.")
        .query("deep", json!({"default": false}), "`true`: also check whether the database answers.")
        .answers::<Health>(200, "The API answers, and the database if it was asked.", example)
        .any_query()
}
