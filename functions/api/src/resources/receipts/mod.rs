//! `POST /v1/carrier/callbacks/{carrier}`: delivery receipts of a carrier that pushes. Signed, not logged in: who has no secret here is
//! nobody, and what is not signed touches no row.
//!
//! In: receipts, in any order, any number of times. Out: rows, and a recheck brought forward where somebody has to look. Run twice, the
//! second finds every state there already. Nothing depends on receipts: rechecks ask for what never comes.

pub mod store;

pub mod find;
pub mod judge;
pub mod record;
pub mod secrets;

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::carrier::{
    receipt::{InvalidReceipt, Receipts, UnreadableReceipts},
    registry::ADAPTERS,
};

use crate::resources::receipts::{
    find::{Whose, find},
    record::{News, record},
    secrets::SignedCall,
};
use crate::{
    App,
    http::{
        error::{ApiError, FieldError},
        path::Path,
        transaction::repeat,
    },
    openapi::{Operation, Takes},
};

/// A thousand receipts with everything that carriers add to them.
const MAX_BYTES: usize = 1024 * 1024;

/// What became of the receipts of a call.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub struct Received {
    /// They said something new, and it is recorded.
    pub recorded: u64,
    /// They said what is known, or what is older, or less, than that.
    pub unchanged: u64,
    /// Nobody knows their messages.
    pub unknown: u64,
    /// The answer with their messages' ids is still to be recorded: they are to come again.
    pub too_early: u64,
    /// Those that can't be read.
    pub invalid: Vec<FieldError>,
}

/// 200 with what became of them; 503 with the same where some were too early.
pub async fn receive(
    State(app): State<App>,
    Path(carrier): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Received>, ApiError> {
    let read = axum::body::to_bytes(body, MAX_BYTES).await;
    let body =
        read.map_err(|_| ApiError::TooLarge(format!("expected at most {MAX_BYTES} bytes a call")))?;
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
    let now = app.db.now();
    let whose = find(&app.db, &receipts, now).await?;
    let count =
        |wanted: fn(&Whose) -> bool| whose.iter().filter(|whose| wanted(whose)).count() as u64;
    let unknown = count(|whose| matches!(whose, Whose::Nobody));
    let too_early = count(|whose| matches!(whose, Whose::Early));
    let news = News::gather(receipts.iter().zip(&whose));
    let recorded = if news.is_empty() {
        0
    } else {
        repeat(|| record(&app, &news, now)).await?
    };
    let unchanged = (receipts.len() as u64 - unknown - too_early).saturating_sub(recorded);
    let received = Received {
        recorded,
        unchanged,
        unknown,
        too_early,
        invalid,
    };
    log(&carrier, &received);
    if too_early > 0 {
        Err(ApiError::TooEarly(Box::new(received)))
    } else {
        Ok(Json(received))
    }
}

/// For the document.
pub fn receive_doc() -> Operation {
    // The document is the same for every deployment, so it describes the formats of all adapters.
    let formats: Vec<_> = ADAPTERS.iter().map(|adapter| adapter.receipts).collect();
    let mut schemas: Vec<_> = formats.iter().map(|format| format.schema()).collect();
    schemas.dedup();
    let schema = if schemas.len() == 1 {
        schemas.remove(0)
    } else {
        json!({"anyOf": schemas})
    };
    let example = formats[0].example();
    let received =
        json!({"recorded": 1, "unchanged": 0, "unknown": 0, "too_early": 0, "invalid": []});
    Operation::new("receiveReceipts", "carrier", "Delivery receipts of a carrier that pushes")
        .text("In any order, any number of times. An entry that can't be read is told by its position, and the others count.")
        .body(Takes::json(schema, example))
        .answers::<Received>(200, "What became of them.", received)
        .problems(&["not-found", "invalid-request", "receipt-too-early"])
        .any_type()
        .any_query()
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
        "receipts taken"
    );
    if *unknown > 0 || invalid > 0 {
        tracing::warn!(carrier, unknown, invalid, "receipts for nobody");
    }
}
