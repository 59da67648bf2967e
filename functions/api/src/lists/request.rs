//! Reads a list from a request: its format from the content type, its options from the query.

use std::sync::Arc;

use axum::{body::Body, http::HeaderMap};
use shared::message::phone::Region;

use crate::{
    http::{
        body::{GZIP, JSON, OCTETS, content_type, is_gzip, read_binary, read_text, unsupported},
        error::ApiError,
        query::Query,
    },
    lists::{
        List,
        charset::read_charset,
        options::{Format, Options, is_column},
    },
};

/// The content type of NDJSON.
const NDJSON: &str = "application/x-ndjson";
/// The content type of CSV.
const CSV: &str = "text/csv";

/// The content type of XLSX.
pub const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
/// The content type of ODS.
pub const ODS: &str = "application/vnd.oasis.opendocument.spreadsheet";
/// Characters of the name of a sheet, at most; spreadsheets allow 31.
pub const LONGEST_SHEET: usize = 255;

/// The expected form of a column, for error messages.
pub const COLUMN: &str = "expected the name of a column in the header, or its position from 1";
/// The expected form of a country, for error messages.
pub const COUNTRY: &str = "expected a country's two letters (ISO 3166), such as MY";

/// Reads the body of a request as a list. The format of a binary body is that of `?format=`, or it is
/// detected from the first bytes.
pub async fn read_list(
    headers: &HeaderMap,
    query: &mut Query,
    body: Body,
) -> Result<List, ApiError> {
    let content_type = content_type(headers)?;
    let by_content_type = match content_type.as_str() {
        JSON => Some(Format::Json),
        NDJSON => Some(Format::Ndjson),
        CSV => Some(Format::Csv),
        XLSX | ODS => Some(Format::Spreadsheet),
        GZIP | OCTETS => None,
        other => {
            let expected = [JSON, NDJSON, CSV, XLSX, ODS, GZIP, OCTETS];
            return Err(unsupported(&expected, other));
        }
    };
    let is_binary = matches!(by_content_type, None | Some(Format::Spreadsheet));
    let by_query = query.choice("format", &Format::ALL, Format::as_str);
    if let (Some(format), Some(other)) = (by_content_type, by_query)
        && format != other
    {
        let format = format.as_str();
        let expected = format!("expected no `format`, or {format}, as the content type says");
        query.complain("format", "not-the-content-type", expected);
    }
    let (country, region) = default_country(query).unzip();
    let options = Options {
        region,
        country,
        sheet: sheet(query),
        column: column(query, "column"),
        is_binary,
        charset: read_charset(headers, query, !is_binary)?,
        ..Options::default()
    };
    let bytes = if is_binary {
        read_binary(body).await?
    } else {
        read_text(body).await?
    };
    Ok(List {
        gzip: content_type == GZIP || (content_type == OCTETS && is_gzip(&bytes)),
        bytes,
        format: by_content_type.or(by_query),
        options,
        entries: Arc::default(),
    })
}

/// Reads `?default_country=MY`.
fn default_country(query: &mut Query) -> Option<(String, Region)> {
    let given = query.text("default_country")?;
    let region = Region::parse(&given);
    if region.is_none() {
        query.complain("default_country", "not-a-country", COUNTRY);
    }
    Some((given, region?))
}

/// Reads `?sheet=Guests`.
pub fn sheet(query: &mut Query) -> Option<String> {
    let given = query.text("sheet")?;
    if given.is_empty() || given.chars().count() > LONGEST_SHEET {
        let expected = format!("expected the name of a sheet, 1 to {LONGEST_SHEET} characters");
        query.complain("sheet", "not-a-name", expected);
    }
    Some(given)
}

/// Reads a column, such as `?column=mobile` or `?column=2`.
pub fn column(query: &mut Query, name: &'static str) -> Option<String> {
    let given = query.text(name)?;
    if !is_column(&given) {
        query.complain(name, "not-a-column", COLUMN);
    }
    Some(given.trim().to_owned())
}
