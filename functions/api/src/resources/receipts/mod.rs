//! `POST /v1/carrier/callbacks/{carrier}`: delivery receipts of a carrier that pushes them. The call is
//! signed instead of authorized by a token; a call without a valid signature reads and writes no row.
//!
//! Input: receipts, in any order, any number of times. Output: rows, and a recheck that is brought
//! forward where one is needed. If a call is repeated, every status is recorded already. Nothing
//! depends on receipts: rechecks query the status of messages whose receipts never arrive.

pub mod routes;
pub mod store;

pub mod effect;
pub mod matching;
pub mod record;
pub mod secrets;

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    carrier::{
        receipt::{InvalidReceipt, Receipt, Receipts, UnreadableReceipts},
        registry::ADAPTERS,
    },
    platform::metrics::{self, Counter},
};

use crate::resources::receipts::{
    matching::{Match, match_receipts},
    record::{News, record},
    secrets::SignedCall,
};
use crate::{
    App,
    http::{
        error::{ApiError, FieldError},
        path::Path,
    },
    openapi::{Operation, ProblemMembers, Takes},
};

/// The size of a thousand receipts with everything that carriers add to them.
const MAX_BYTES: usize = 1024 * 1024;

/// How many receipts of a call were recorded.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub struct Received {
    /// Receipts with a new status, which is recorded.
    pub recorded: u64,
    /// Receipts whose status is known already, or older than the recorded one.
    pub unchanged: u64,
    /// Receipts that belong to no message of this system.
    pub unknown: u64,
    /// Receipts whose message has no recorded id yet: the carrier must repeat them.
    pub too_early: u64,
    /// Entries that cannot be read.
    pub invalid: Vec<FieldError>,
}

/// Answers 200 with the counts; 503 with the same if some receipts were too early.
pub async fn receive(
    State(app): State<App>,
    Path(carrier): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Received>, ApiError> {
    let read = axum::body::to_bytes(body, MAX_BYTES).await;
    let body = read
        .map_err(|_| ApiError::TooLarge(format!("expected at most {MAX_BYTES} bytes per call")))?;
    let format = app.receipt_format;
    app.callbacks
        .verify(
            format,
            &carrier,
            SignedCall {
                headers: &headers,
                body: &body,
            },
            app.db.now(),
        )
        .await?;
    let Receipts { receipts, invalid } = format.read(&body).map_err(unreadable)?;
    let invalid: Vec<_> = invalid.into_iter().map(FieldError::from).collect();
    if receipts.is_empty() && !invalid.is_empty() {
        return Err(ApiError::invalid(invalid));
    }
    let received = Received {
        invalid,
        ..record_all(&app, &receipts).await?
    };
    log(&carrier, &received);
    if received.too_early > 0 {
        Err(ApiError::TooEarly(json!(received)))
    } else {
        Ok(Json(received))
    }
}

/// The members of the problem `receipt-too-early`: those of [`Received`].
pub const PROBLEM_MEMBERS: ProblemMembers = ProblemMembers {
    problems: &["receipt-too-early"],
    properties: |generator| {
        let count = || json!({"type": "integer", "minimum": 0});
        let invalid = json!({"type": "array", "items": generator.subschema_for::<FieldError>()});
        json!({
            "recorded": count(), "unchanged": count(), "unknown": count(), "too_early": count(),
            "invalid": invalid,
        })
    },
    required: &["recorded", "unchanged", "unknown", "too_early", "invalid"],
};

/// Matches the receipts to their messages and records them. Returns the counts.
async fn record_all(app: &App, receipts: &[Receipt]) -> Result<Received, ApiError> {
    let now = app.db.now();
    let matches = match_receipts(&app.db, receipts, now).await?;
    let count = |is: fn(&Match) -> bool| matches.iter().filter(|each| is(each)).count() as u64;
    let unknown = count(|each| matches!(each, Match::NoMessage));
    let too_early = count(|each| matches!(each, Match::TooEarly));
    metrics::count(Counter::Receipts, receipts.len() as u64);
    let news = News::gather(receipts.iter().zip(&matches));
    let recorded = if news.is_empty() {
        0
    } else {
        record(app, &news, now).await?
    };
    Ok(Received {
        recorded,
        unchanged: (receipts.len() as u64 - unknown - too_early).saturating_sub(recorded),
        unknown,
        too_early,
        invalid: Vec::new(),
    })
}

/// Describes [`receive`] in the OpenAPI document.
pub fn receive_doc() -> Operation {
    let example = ADAPTERS[0].receipts.example();
    let received =
        json!({"recorded": 1, "unchanged": 0, "unknown": 0, "too_early": 0, "invalid": []});
    Operation::new("receiveReceipts", "carrier", "Receive delivery receipts of a carrier")
        .text("Receipts may arrive in any order, and any number of times. An entry that cannot be read is reported by its position; the others are recorded.")
        .path("carrier", json!({"type": "string"}), "The carrier's name in `CALLBACK_SECRETS`.", json!("sim"))
        .body(Takes::json(schema(), example))
        .answers::<Received>(200, "How many receipts were recorded.", received)
        .problems(&["not-found", "invalid-request", "receipt-too-early"])
        .any_type()
        .any_query()
}

/// Returns the schema of a body. The document is the same for every deployment, so it describes the
/// formats of all adapters.
fn schema() -> Value {
    let mut schemas: Vec<_> = ADAPTERS
        .iter()
        .map(|adapter| adapter.receipts.schema())
        .collect();
    schemas.dedup();
    if schemas.len() == 1 {
        schemas.remove(0)
    } else {
        json!({"anyOf": schemas})
    }
}

impl From<InvalidReceipt> for FieldError {
    fn from(invalid: InvalidReceipt) -> Self {
        Self {
            position: Some(invalid.position),
            ..Self::new(invalid.field, invalid.code, invalid.detail)
        }
    }
}

fn unreadable(error: UnreadableReceipts) -> ApiError {
    match error {
        UnreadableReceipts::Malformed(expected) => ApiError::Malformed(expected),
        UnreadableReceipts::TooMany(most) => {
            ApiError::TooLarge(format!("expected at most {most} receipts per call"))
        }
    }
}

fn log(carrier: &str, received: &Received) {
    let Received {
        recorded,
        unchanged,
        unknown,
        too_early,
        invalid,
    } = received;
    let invalid = invalid.len();
    tracing::info!(
        carrier,
        recorded,
        unchanged,
        unknown,
        too_early,
        invalid,
        "receipts received"
    );
    if *unknown > 0 || invalid > 0 {
        tracing::warn!(carrier, unknown, invalid, "receipts without a message");
    }
}
