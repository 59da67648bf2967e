//! What a caller says about a move of a schedule: which one, and why.

use axum::{body::Body, http::HeaderMap};
use serde_json::json;
use uuid::Uuid;

use crate::{
    http::{body, error::ApiError, fields::Fields},
    openapi::{Takes, operation::object},
    resources::schedules::{show::parse_id, state::Move},
};

/// A move that is requested.
pub struct Request {
    /// The schedule.
    pub id: Uuid,
    /// The move.
    pub step: Move,
    /// The caller's reason, for a pause and a cancel.
    pub reason: Option<String>,
}

impl Request {
    /// Returns a move without a reason.
    pub const fn new(id: Uuid, step: Move) -> Self {
        Self {
            id,
            step,
            reason: None,
        }
    }

    /// Reads the `reason` of a pause or a cancel.
    pub async fn with_reason(
        id: &str,
        step: Move,
        (headers, body): (HeaderMap, Body),
    ) -> Result<Self, ApiError> {
        let id = parse_id(id)?;
        let reason = read_reason(&body::read_optional_json(&headers, body).await?)?;
        Ok(Self { id, step, reason })
    }
}

/// Reads the field `now` of a body.
pub fn is_now(body: &[u8]) -> Result<bool, ApiError> {
    let mut fields = Fields::read(body)?;
    let now = fields.read_as("now", "true or false");
    let errors = fields.finish();
    if errors.is_empty() {
        Ok(now.unwrap_or(false))
    } else {
        Err(ApiError::invalid(errors))
    }
}

/// The largest number of characters of a reason, as the column holds.
const LONGEST_REASON: usize = 200;

/// Reads the field `reason` of a body.
pub fn read_reason(body: &[u8]) -> Result<Option<String>, ApiError> {
    let mut fields = Fields::read(body)?;
    let reason = fields.text("reason");
    let is_reason = |reason: &str| {
        !reason.trim().is_empty()
            && reason.chars().count() <= LONGEST_REASON
            && !reason.chars().any(char::is_control)
    };
    if reason.as_deref().is_some_and(|reason| !is_reason(reason)) {
        let expected = "expected 1 to 200 characters on one line, and not only spaces";
        fields.complain("reason", "not-a-reason", expected);
    }
    let errors = fields.finish();
    if errors.is_empty() {
        Ok(reason)
    } else {
        Err(ApiError::invalid(errors))
    }
}

/// Returns the schema of a reason.
pub fn reason_schema() -> serde_json::Value {
    json!({
        "type": ["string", "null"], "minLength": 1, "maxLength": LONGEST_REASON, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$",
        "description": "Why; shown with the schedule, in its event and in the audit log.",
    })
}

/// Returns the body of a pause and of a cancel.
pub fn takes_reason() -> Takes {
    let reason = reason_schema();
    Takes::optional_json(
        object(json!({"reason": reason}), &[]),
        json!({"reason": "wrong price in the text"}),
    )
}

/// Returns the body of a resume.
pub fn takes_now() -> Takes {
    let now = json!({"type": ["boolean", "null"], "default": false, "description": "If its start has passed, its `run_at` becomes now."});
    Takes::optional_json(object(json!({"now": now}), &[]), json!({"now": true}))
}
