//! `GET /v1/carriers` and `GET /v1/carriers/{carrier}`.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::carrier::capacity::CARRIER;

use crate::{
    App,
    http::{error::ApiError, path::Path, query::Query, transaction::transaction},
    openapi::Operation,
    resources::carriers::view::{CarrierView, example, read_view},
};

/// All carriers.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Carriers")]
pub struct Carriers {
    carriers: Vec<CarrierView>,
}

/// Returns 200 with all carriers; today there is one.
pub async fn list(State(app): State<App>, query: Query) -> Result<Json<Carriers>, ApiError> {
    query.finish()?;
    let carriers = vec![read(&app, CARRIER.to_owned()).await?];
    Ok(Json(Carriers { carriers }))
}

/// Returns 200 with a carrier.
pub async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Query,
) -> Result<Json<CarrierView>, ApiError> {
    query.finish()?;
    read(&app, name).await.map(Json)
}

async fn read(app: &App, name: String) -> Result<CarrierView, ApiError> {
    let name = &*name;
    transaction(&app.db, |transaction| {
        Box::pin(read_view(app, transaction, name))
    })
    .await
}

/// Describes `GET /v1/carriers` in the OpenAPI document.
pub fn list_doc() -> Operation {
    Operation::new("listCarriers", "carrier", "List the carriers")
        .text("With their limits, and what waits for them.")
        .answers::<Carriers>(200, "All carriers.", json!({"carriers": [example()]}))
}

/// Describes `GET /v1/carriers/{carrier}` in the OpenAPI document.
pub fn show_doc() -> Operation {
    named("getCarrier", "Get a carrier")
        .text("Its limits, how much of them is used, when it last accepted a message, and what waits for it.")
        .answers::<CarrierView>(200, "The carrier.", example())
        .problems(&["not-found"])
}

/// Returns an operation on one carrier.
pub fn named(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, "carrier", summary).path(
        "carrier",
        name_schema(),
        "The name of the carrier; today there is one, `main`.",
        json!(CARRIER),
    )
}

fn name_schema() -> Value {
    json!({"type": "string", "pattern": "^[a-z0-9-]{1,32}$"})
}
