//! `GET /v1/prices`: the current prices, as JSON or as the CSV that was imported.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use csv::Writer;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::money::{
    amount::Amount,
    prices::{Price, current_table},
};

use crate::{
    App,
    http::{
        error::ApiError,
        format::{Format, negotiated},
        query::{Limit, Query},
    },
    openapi::{Operation, parameters},
    resources::prices::{
        CURRENCY,
        import::{example_list, example_prices},
        store::read_import,
    },
};

/// The formats of the answer.
const FORMATS: [Format; 2] = [Format::Json, Format::Csv];
/// Prices of a page. CSV has no pages.
const LIMIT: Limit = Limit {
    most: 10_000,
    default: 1_000,
};

/// The current prices.
#[derive(Default, JsonSchema, Serialize)]
#[schemars(rename = "Prices")]
pub struct PricesView {
    /// The version; null: there are no prices.
    version: Option<u32>,
    /// The currency (ISO 4217).
    #[schemars(extend("pattern" = CURRENCY))]
    currency: Option<String>,
    /// When they were imported.
    created_at: Option<DateTime<Utc>>,
    /// Who imported them, as in the audit log.
    created_by: Option<String>,
    /// The prices, in the order of their prefixes.
    prices: Vec<PriceView>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

impl PricesView {
    /// Keeps the prices of one page.
    fn page(mut self, after: &str, limit: usize) -> Self {
        let begin = self
            .prices
            .partition_point(|price| price.prefix.as_str() <= after);
        self.prices.drain(..begin);
        let has_more = self.prices.len() > limit;
        self.prices.truncate(limit);
        let last = self.prices.last().filter(|_| has_more);
        self.next_cursor = last.map(|last| format!("x{}", last.prefix));
        self
    }
}

/// The price of a prefix.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Price")]
pub struct PriceView {
    /// The first digits of a number, without the plus sign.
    prefix: String,
    /// Of a message part.
    price: Amount,
    /// The country or the network.
    name: Option<String>,
}

impl From<&Price> for PriceView {
    fn from(price: &Price) -> Self {
        Self {
            prefix: price.prefix.clone(),
            price: Amount(price.micros),
            name: price.name.clone(),
        }
    }
}

/// Returns 200 with the prices.
pub async fn show(
    State(app): State<App>,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let format = query.choice("format", &FORMATS, Format::as_str);
    let limit = query.limit(LIMIT) as usize;
    let is_prefix = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let read = |cursor: &str| {
        let prefix = cursor.strip_prefix('x')?;
        is_prefix(prefix).then(|| prefix.to_owned())
    };
    let after = query.cursor(read).unwrap_or_default();
    query.finish()?;
    let format = match format {
        Some(format) => format,
        None => negotiated(&headers)?,
    };
    let connection = &mut *app.db.acquire().await?;
    let view = match current_table(connection).await? {
        None => PricesView::default(),
        Some(table) => {
            let import = read_import(connection, table.list.version).await?;
            PricesView {
                version: Some(table.list.version),
                currency: Some(table.list.currency.clone()),
                created_at: Some(import.created_at),
                created_by: Some(import.created_by),
                prices: table.prices().iter().map(PriceView::from).collect(),
                next_cursor: None,
            }
        }
    };
    Ok(match format {
        Format::Csv => {
            let headers = [(header::CONTENT_TYPE, Format::Csv.content_type())];
            (headers, csv_of(&view.prices)?).into_response()
        }
        _ => Json(view.page(&after, limit)).into_response(),
    })
}

/// Returns prices as a list that can be imported.
fn csv_of(prices: &[PriceView]) -> Result<Vec<u8>, ApiError> {
    let failed = |error: csv::Error| ApiError::Internal(error.to_string());
    let mut writer = Writer::from_writer(Vec::new());
    writer
        .write_record(["prefix", "price", "name"])
        .map_err(failed)?;
    for price in prices {
        let amount = price.price.to_string();
        let name = price.name.as_deref().unwrap_or_default();
        writer
            .write_record([price.prefix.as_str(), amount.as_str(), name])
            .map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|error| ApiError::Internal(error.to_string()))
}

/// Describes `GET /v1/prices` in the OpenAPI document.
pub fn show_doc() -> Operation {
    let prices: Vec<Value> = example_prices()
        .iter()
        .map(|price| json!(PriceView::from(price)))
        .collect();
    let example = json!({"version": 7, "currency": "EUR", "created_at": "2026-12-01T01:00:00.000Z",
        "created_by": "user:0198c6c4-9f7e-7c3a-8f5e-6f7a8b9c0d1e", "prices": prices, "next_cursor": null});
    Operation::new("getPrices", "money", "Get the prices")
        .text("The current prices of a message part by prefix. As CSV they can be imported again.")
        .query(
            "format",
            json!({"title": "PricesFormat", "type": "string", "enum": FORMATS.map(Format::as_str)}),
            "The format; default: what `Accept` says. CSV has all prices, JSON has pages.",
        )
        .queries(parameters::page(LIMIT))
        .answers::<PricesView>(200, "The prices.", example)
        .also_text("text/csv", json!(example_list()))
        .problems(&["not-acceptable"])
}
