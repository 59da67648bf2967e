//! `PUT /v1/prices`: imports a list, which replaces the prices for all schedules that are cut later.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::money::prices::{Price, current_list};
use sqlx::MySqlConnection;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{
        body::{self, OCTETS, content_type},
        error::ApiError,
        problems,
        query::Query,
    },
    lists::doc::octets,
    openapi::{Operation, Takes},
    resources::prices::{
        CURRENCY, is_currency,
        parse::parse,
        store::{NewList, insert_list, money_budgets_exist},
    },
};

/// The content type of a list.
const CSV: &str = "text/csv";

/// A list that was imported.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ImportedPrices")]
pub struct Imported {
    /// Its version. Schedules that were cut before keep the prices of theirs.
    version: u32,
    /// The currency (ISO 4217).
    #[schemars(extend("pattern" = CURRENCY))]
    currency: String,
    /// The number of prices. 0: from now on nothing has a price.
    prices: u32,
}

/// Returns 200 with the version.
pub async fn import(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<Imported>, ApiError> {
    let currency = query.text("currency").unwrap_or_default();
    if !is_currency(&currency) {
        let expected = "expected the three capital letters of a currency, such as EUR";
        query.complain("currency", "not-a-currency", expected);
    }
    query.finish()?;
    let (headers, body) = request;
    let given = content_type(&headers)?;
    // Generated clients send a file as octets.
    if ![CSV, OCTETS].contains(&given.as_str()) {
        let detail = format!("expected {CSV} or {OCTETS}, found {given}");
        return Err(ApiError::UnsupportedType(detail));
    }
    let prices = parse(&body::read_text(body).await?)?;
    let list = NewList {
        currency,
        created_at: app.db.now(),
        created_by: caller.actor(),
    };
    let (list, prices) = (&list, prices.as_slice());
    let imported = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            refuse_to_break_budgets(&mut transaction, list, prices).await?;
            let imported = Imported {
                version: insert_list(&mut transaction, list, prices).await?,
                currency: list.currency.clone(),
                prices: prices.len() as u32,
            };
            let change = audit_change(&imported);
            Ok((imported, change))
        })
    });
    imported.await.map(Json)
}

/// Refuses a list without prices, or in another currency, while there are budgets of money.
async fn refuse_to_break_budgets(
    connection: &mut MySqlConnection,
    new: &NewList,
    prices: &[Price],
) -> Result<(), ApiError> {
    let current = current_list(connection).await?;
    let is_harmless =
        !prices.is_empty() && current.is_none_or(|current| current.currency == new.currency);
    if is_harmless || !money_budgets_exist(connection).await? {
        return Ok(());
    }
    let detail = "expected prices in the present currency, because budgets of money count in it";
    Err(ApiError::Refused(
        &problems::MONEY_BUDGETS_EXIST,
        detail.to_owned(),
    ))
}

fn audit_change(imported: &Imported) -> Change<'static> {
    Change {
        action: "prices.import",
        resource: format!("prices:{}", imported.version),
        after: Some(json!({"currency": imported.currency, "prices": imported.prices})),
        ..Change::default()
    }
}

/// Returns an example of a list.
pub fn example_list() -> &'static str {
    "prefix,price,name\n60,0.05,Malaysia\n6012,0.045,Malaysia Maxis\n"
}

/// Returns the prices of [`example_list`].
pub fn example_prices() -> [Price; 2] {
    let price = |prefix: &str, micros, name: &str| Price {
        prefix: prefix.to_owned(),
        micros,
        name: Some(name.to_owned()),
    };
    [
        price("60", 50_000, "Malaysia"),
        price("6012", 45_000, "Malaysia Maxis"),
    ]
}

/// Describes `PUT /v1/prices` in the OpenAPI document.
pub fn import_doc() -> Operation {
    let example = json!({"version": 7, "currency": "EUR", "prices": 2});
    let mut takes = Takes::text(CSV, example_list());
    takes.media.push(octets("The same list, as a file."));
    Operation::new("importPrices", "money", "Replace the prices")
        .text(
            "A list of prices of a message part by prefix, as CSV: `prefix` (digits, with or without a plus sign), `price` (at most six decimals) and, \
             if wanted, `name`. The longest prefix of a number decides. All of it is written, or nothing. Each call makes a new version; a schedule has \
             the prices that are current when it is cut, so that its cost never changes afterwards. A list without rows removes the prices.",
        )
        .required_query(
            "currency",
            json!({"type": "string", "pattern": CURRENCY}),
            "The currency (ISO 4217).",
        )
        .body(takes)
        .answers::<Imported>(200, "The new version.", example)
        .problems(&["money-budgets-exist"])
}
