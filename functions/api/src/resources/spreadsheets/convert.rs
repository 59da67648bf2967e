//! `POST /v1/spreadsheets/convert`: returns a sheet as CSV, as the API reads it. Nothing is stored.

use axum::{Json, body::Body, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::{
    auth::Caller,
    http::{
        body::{OCTETS, content_type, read_binary, unsupported},
        error::ApiError,
        query::Query,
    },
    lists::{
        doc,
        request::{ODS, XLSX, sheet},
        sheet::convert as convert_sheet,
    },
    openapi::{Operation, Takes},
};

/// Rows of a sheet, at most.
const MOST_ROWS: u32 = 1_048_576;

/// A sheet as CSV.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ConvertedSheet")]
#[expect(
    clippy::struct_field_names,
    reason = "the members of the answer have these names"
)]
pub struct Sheet {
    /// The name of the sheet.
    sheet: String,
    /// The names of all sheets of the file.
    sheets: Vec<String>,
    /// The rows, one on each line: blank ones are empty lines, so that a line has the number of its
    /// row. Fields are separated by commas. Line breaks in cells are spaces.
    csv: String,
    /// Of a long sheet, the row up to which the lines go: convert the rest with `after_row`. Null if
    /// they go to its end.
    next_after_row: Option<u32>,
}

/// Returns 200 with the lines.
pub async fn convert(
    _: Caller,
    mut query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Sheet>, ApiError> {
    let sheet = sheet(&mut query);
    let after = query.number("after_row", 0..=MOST_ROWS, 0);
    query.finish()?;
    let given = content_type(&headers)?;
    if ![XLSX, ODS, OCTETS].contains(&given.as_str()) {
        return Err(unsupported(&[XLSX, ODS, OCTETS], &given));
    }
    let bytes = read_binary(body).await?;
    let converted =
        tokio::task::spawn_blocking(move || convert_sheet(&bytes, sheet.as_deref(), after)).await;
    let converted = converted.map_err(|error| ApiError::Internal(error.to_string()))??;
    let lines = converted.lines;
    Ok(Json(Sheet {
        sheet: converted.sheets.sheet,
        sheets: converted.sheets.all,
        csv: lines.text,
        next_after_row: lines.has_more.then_some(lines.last_row),
    }))
}

/// Describes `POST /v1/spreadsheets/convert` in the OpenAPI document.
pub fn convert_doc() -> Operation {
    let mut media = doc::spreadsheet_media();
    media.push(doc::octets("A spreadsheet of either kind."));
    let example = json!({"sheet": "Guests", "sheets": ["Guests", "Old"], "csv": "name,phone\nAna,+60123456789\n", "next_after_row": null});
    Operation::new("convertSpreadsheet", "recipients", "Convert a spreadsheet to CSV")
        .text(
            "Shows how the API reads a spreadsheet: numbers without exponents, dates in ISO 8601, the results of formulas. Nothing is stored. A long sheet \
             is converted in several calls.",
        )
        .query("sheet", doc::sheet_schema(), "The name of the sheet. Default: the first.")
        .query("after_row", json!({"type": "integer", "minimum": 0, "maximum": MOST_ROWS}), "Only rows after this one.")
        .body(Takes {
            required: true,
            media,
        })
        .answers::<Sheet>(200, "The lines.", example)
}
