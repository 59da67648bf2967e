//! `/v1/suppressions`: numbers that have opted out, to which no message is sent.

pub mod change;
pub mod import;
pub mod read;
pub mod routes;
pub mod store;

use serde_json::{Value, json};
use shared::{events::secret::ERASED, message::phone::Phone};

use crate::{
    App,
    http::{
        error::{ApiError, FieldError},
        fields::Fields,
    },
    openapi::operation::{object, or_null},
};

/// The form of a source.
const SOURCE: &str = "expected 1 to 32 of a-z 0-9 . _ -";

fn is_source(source: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=32).contains(&source.len()) && source.bytes().all(is_allowed)
}

/// The largest number of characters of a reason.
const LONGEST_REASON: usize = 255;

fn is_reason(reason: &str) -> bool {
    reason.chars().count() <= LONGEST_REASON
}

/// Parses a number in a path.
pub fn phone_of(path: &str) -> Result<Phone, ApiError> {
    Phone::parse(path).map_err(|error| {
        ApiError::invalid(vec![FieldError::new(
            "phone",
            error.code(),
            error.to_string(),
        )])
    })
}

/// Returns how the audit log names a number: a keyed hash, because its rows cannot be erased.
pub fn person_of(app: &App, phone: Phone) -> String {
    let hash = app.webhook_keys.current().person_hash(&phone.to_string());
    hash.trim_start_matches(ERASED).to_owned()
}

fn no_such_suppression() -> ApiError {
    ApiError::NotFound("this number is not suppressed".to_owned())
}

/// The body of a suppression.
struct NoteRequest {
    reason: Option<String>,
    source: Option<String>,
}

/// Reads `reason` and `source` of a body.
fn read_note(body: &[u8]) -> Result<NoteRequest, ApiError> {
    let mut fields = Fields::read(body)?;
    let reason = fields.text("reason");
    if reason.as_deref().is_some_and(|reason| !is_reason(reason)) {
        fields.complain("reason", "too-long", "expected at most 255 characters");
    }
    let source = fields.text("source");
    if source.as_deref().is_some_and(|source| !is_source(source)) {
        fields.complain("source", "not-a-source", SOURCE);
    }
    let errors = fields.finish();
    if errors.is_empty() {
        Ok(NoteRequest { reason, source })
    } else {
        Err(ApiError::invalid(errors))
    }
}

/// Returns the schema of a source.
fn source_schema() -> Value {
    json!({"type": "string", "pattern": "^[a-z0-9._-]{1,32}$"})
}

/// Returns the schema of a reason.
fn reason_schema() -> Value {
    json!({"type": "string", "maxLength": LONGEST_REASON})
}

/// Returns the schema of a reason that is not empty.
fn required_reason_schema() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": LONGEST_REASON, "pattern": r"\S"})
}

/// Returns the schema of the body that [`read_note`] reads.
fn note_schema() -> Value {
    object(
        json!({"reason": or_null(reason_schema()), "source": or_null(source_schema())}),
        &[],
    )
}

/// Returns an example of a suppression.
fn example() -> Value {
    json!({
        "phone": "+60123456789",
        "reason": "asked by mail",
        "source": "support",
        "created_at": "2026-12-01T01:00:00Z",
        "created_by": "user:0190a0b0-c0d0-7080-8000-00000000000e",
    })
}
