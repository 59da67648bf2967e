//! Examples of reports for the OpenAPI document, written as reports are.

use chrono::DateTime;
use serde_json::Value;
use shared::money::amount::Amount;
use uuid::Uuid;

use crate::{
    http::{error::ApiError, format::Format},
    resources::recipients::report::{page::ReportPage, row::ReportRow},
};

/// Returns a page of CSV.
pub fn csv() -> Value {
    page(Format::Csv)
}

/// Returns a page of NDJSON.
pub fn ndjson() -> Value {
    page(Format::Ndjson)
}

/// Writing to memory never fails.
fn page(format: Format) -> Value {
    let write = || -> Result<String, ApiError> {
        let mut page = ReportPage::new(format, 1, None)?;
        page.append(&row())?;
        Ok(String::from_utf8_lossy(&page.finish()?).into_owned())
    };
    write().map_or(Value::Null, Value::String)
}

fn row() -> ReportRow {
    let planned = 1_801_357_200;
    ReportRow {
        phone: Some("+60123456789".to_owned()),
        reference: Some("4711".to_owned()),
        group: Some("Penang".to_owned()),
        status: "DELIVRD".to_owned(),
        carrier_status: Some("DELIVRD".to_owned()),
        attempt: 1,
        sends: 1,
        resends: 0,
        parts: Some(1),
        planned_at: DateTime::from_timestamp(planned, 0),
        sent_at: DateTime::from_timestamp(planned, 0),
        final_at: DateTime::from_timestamp(planned + 9, 0),
        error: None,
        seq: 1,
        message_id: Some("a1b2c3".to_owned()),
        schedule_id: Uuid::from_u128(0x0190_a0b0_c0d0_7080_8000_0000_0000_000f),
        input: None,
        price: Some(Amount(50_000)),
        cost: Some(Amount(50_000)),
        currency: Some("EUR".to_owned()),
        variables: None,
    }
}
