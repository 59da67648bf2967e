//! `GET /v1/senders`: the registered senders.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    App,
    http::{error::ApiError, query::Query},
    openapi::Operation,
    resources::senders::store::{Sender, load_senders},
};

/// The registered senders.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Senders")]
pub struct SenderList {
    senders: Vec<Sender>,
}

/// Returns 200 with all senders.
pub async fn list(State(app): State<App>, query: Query) -> Result<Json<SenderList>, ApiError> {
    query.finish()?;
    let senders = load_senders(&mut *app.db.acquire().await?).await?;
    Ok(Json(SenderList { senders }))
}

/// Returns an example of a sender.
pub fn example() -> Value {
    json!({
        "sender": "Acme",
        "note": "parcels",
        "created_at": "2026-12-01T01:00:00Z",
        "created_by": "user:0190a0b0-c0d0-7080-8000-00000000000e",
    })
}

/// Describes `GET /v1/senders` in the OpenAPI document.
pub fn list_doc() -> Operation {
    Operation::new("listSenders", "senders", "List the registered senders")
        .text("What a schedule may be sent from, unless its caller has the permission `senders:any` or a key with senders of its own.")
        .answers::<SenderList>(200, "All senders, in their order.", json!({"senders": [example()]}))
}
