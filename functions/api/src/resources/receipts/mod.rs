//! `POST /v1/carrier/callbacks/{carrier}`: delivery receipts of a carrier that pushes. Signed, not logged in: who has no secret here is
//! nobody, and what is not signed touches no row.
//!
//! In: receipts, in any order, any number of times. Out: rows, and a recheck brought forward where somebody has to look. Run twice, the
//! second finds every state there already. Nothing depends on receipts: rechecks ask for what never comes.

pub mod routes;
pub mod store;

pub mod find;
pub mod judge;
pub mod receipt;
pub mod record;
pub mod secrets;
pub mod signature;

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::resources::receipts::{
    find::{Whose, find},
    receipt::Receipts,
    record::{News, record},
};
use crate::{
    App,
    http::{
        error::{ApiError, FieldError},
        path::Path,
    },
    openapi::{Operation, ProblemMembers, Takes},
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
    app.callbacks
        .verify(&carrier, &headers, &body, app.db.now())
        .await?;
    let Receipts { receipts, invalid } = receipt::read(&body)?;
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
        record(&app, &news, now).await?
    };
    let unchanged = (receipts.len() as u64 - unknown - too_early).saturating_sub(recorded);
    let received = Received {
        recorded,
        unchanged,
        unknown,
        too_early,
        invalid,
    };
    tell(&carrier, &received);
    if too_early > 0 {
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

/// For the document.
pub fn receive_doc() -> Operation {
    let example = json!([
        {"message_id": "alss-a1b2c3d4-e5f67890", "dnis": "60123456789", "status": "DELIVRD", "delivery_time": "270131090003"},
    ]);
    let received =
        json!({"recorded": 1, "unchanged": 0, "unknown": 0, "too_early": 0, "invalid": []});
    Operation::new("receiveReceipts", "carrier", "Delivery receipts of a carrier that pushes")
        .text("In any order, any number of times. An entry that can't be read is told by its position, and the others count.")
        .path("carrier", json!({"type": "string"}), "Its name in `CALLBACK_SECRETS`.", json!("sim"))
        .body(Takes::json(receipt::schema(), example))
        .answers::<Received>(200, "What became of them.", received)
        .problems(&["not-found", "invalid-request", "receipt-too-early"])
        .any_type()
        .any_query()
}

fn tell(carrier: &str, received: &Received) {
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
