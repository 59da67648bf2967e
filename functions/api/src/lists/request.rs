//! Reads a list from a request: its format from the content type, its options from the query.

use std::sync::Arc;

use axum::{body::Body, http::HeaderMap};
use shared::message::phone::Region;

use crate::{
    http::{
        body::{GZIP, JSON, content_type, read_binary, read_text, unsupported},
        error::ApiError,
        query::Query,
    },
    lists::{
        List,
        options::{Format, LONGEST_COLUMN, Options},
    },
};

/// The content type of NDJSON.
const NDJSON: &str = "application/x-ndjson";
/// The content type of CSV.
const CSV: &str = "text/csv";

/// The expected form of a country, for error messages.
pub const COUNTRY: &str = "expected a country's two letters (ISO 3166), such as MY";

/// Reads the body of a request as a list. The format of a list in gzip is that of `?format=`, or
/// it is detected from the first bytes.
pub async fn read_list(
    headers: &HeaderMap,
    query: &mut Query,
    body: Body,
) -> Result<List, ApiError> {
    let by_content_type = match content_type(headers)?.as_str() {
        JSON => Some(Format::Json),
        NDJSON => Some(Format::Ndjson),
        CSV => Some(Format::Csv),
        GZIP => None,
        other => return Err(unsupported(&[JSON, NDJSON, CSV, GZIP], other)),
    };
    let by_query = query.choice("format", &Format::ALL, Format::as_str);
    if let (Some(format), Some(other)) = (by_content_type, by_query)
        && format != other
    {
        let format = format.as_str();
        let expected = format!("expected no `format`, or {format}, as the content type says");
        query.complain("format", "not-the-content-type", expected);
    }
    let options = Options {
        region: default_country(query),
        column: column(query),
        ..Options::default()
    };
    let gzip = by_content_type.is_none();
    Ok(List {
        bytes: if gzip {
            read_binary(body).await?
        } else {
            read_text(body).await?
        },
        format: by_content_type.or(by_query),
        gzip,
        options,
        entries: Arc::default(),
    })
}

/// Reads `?default_country=MY`.
fn default_country(query: &mut Query) -> Option<Region> {
    let given = query.text("default_country")?;
    let region = Region::parse(&given);
    if region.is_none() {
        query.complain("default_country", "not-a-country", COUNTRY);
    }
    region
}

/// Reads `?column=mobile` or `?column=2`.
fn column(query: &mut Query) -> Option<String> {
    let given = query.text("column")?;
    if given.trim().is_empty() || given.len() > LONGEST_COLUMN || given == "0" {
        query.complain(
            "column",
            "not-a-column",
            "expected the name of a column in the header, or its position from 1",
        );
    }
    Some(given.trim().to_owned())
}
