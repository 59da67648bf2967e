//! `GET /v1/system`.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::batch::brake::{self, Brake};

use crate::{
    App,
    http::{error::ApiError, query::Query},
    openapi::Operation,
};

/// The state of the system as a whole.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "System")]
pub struct SystemView {
    /// Whether messages are sent.
    pub sending: Sending,
}

/// Whether messages are sent.
#[derive(JsonSchema, Serialize)]
pub struct Sending {
    /// Whether all sending is stopped.
    pub stopped: bool,
    /// Since when it is stopped; null: it is not.
    pub since: Option<DateTime<Utc>>,
    /// Who stopped or resumed it last, as in the audit log; null: nobody did.
    pub by: Option<String>,
    /// Why; null: nobody did.
    pub reason: Option<String>,
}

impl From<Brake> for SystemView {
    fn from(brake: Brake) -> Self {
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            sending: Sending {
                stopped: brake.set_at.is_some(),
                since: brake.set_at,
                by: given(brake.set_by),
                reason: given(brake.reason),
            },
        }
    }
}

/// Returns 200 with the state.
pub async fn show(State(app): State<App>, query: Query) -> Result<Json<SystemView>, ApiError> {
    query.finish()?;
    let brake = brake::read(&mut *app.db.acquire().await?).await?;
    Ok(Json(brake.into()))
}

/// Describes `GET /v1/system` in the OpenAPI document.
pub fn show_doc() -> Operation {
    Operation::new("getSystem", "system", "See whether sending is stopped")
        .text("Whether all sending is stopped, since when, by whom and why.")
        .answers::<SystemView>(200, "The state.", example(true))
}

/// Returns an example of the state.
pub fn example(stopped: bool) -> Value {
    let since = stopped.then_some("2030-01-31T01:00:00.000Z");
    let reason = if stopped {
        "INC-12: wrong text"
    } else {
        "INC-12 is solved"
    };
    json!({"sending": {"stopped": stopped, "since": since, "by": "user:0198c6c4-9f7e-7c3a-8f5e-6f7a8b9c0d1e", "reason": reason}})
}
