//! From a request to an unread list: the content type, the limits, and gzip where it doesn't belong.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};

use crate::http::{error::ApiError, query::Query};
use crate::lists::{Format, List, Options};
use shared::message::phone::Region;

/// What Lambda takes in one call.
const MAX_TEXT: usize = 6 * 1024 * 1024;
/// The same, less what base64 adds on the way.
const MAX_BINARY: usize = MAX_TEXT / 4 * 3;

/// What a body claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text(Format),
    Gzip,
}

/// A list from a request's body; inside gzip its format is named by `?format=`, or seen by its beginning.
pub async fn read_list(
    headers: &HeaderMap,
    query: &mut Query,
    body: Body,
) -> Result<List, ApiError> {
    let content_type = content_type(
        headers,
        &[
            ("application/x-ndjson", Format::Ndjson),
            ("text/csv", Format::Csv),
        ],
    )?;
    let named = query.choice("format", &Format::ALL, Format::as_str);
    let (format, gzip) = match content_type {
        Type::Text(format) => {
            if named.is_some_and(|named| named != format) {
                let expected = format!(
                    "expected no `format`, or {}, as the content type says",
                    format.as_str()
                );
                query.complain("format", "not-the-content-type", expected);
            }
            (Some(format), false)
        }
        Type::Gzip => (named, true),
    };
    let options = Options {
        region: default_country(query),
        column: column(query),
        ..Options::default()
    };
    Ok(List {
        bytes: read_bytes(body, content_type).await?,
        format,
        gzip,
        options,
    })
}

/// `?default_country=MY`
fn default_country(query: &mut Query) -> Option<Region> {
    let given = query.text("default_country")?;
    let region = Region::parse(&given);
    if region.is_none() {
        query.complain("default_country", "not-a-country", COUNTRY);
    }
    region
}

/// What is expected of a country.
pub const COUNTRY: &str = "expected a country's two letters (ISO 3166), such as MY";

/// Bytes of a column's name.
pub const LONGEST_COLUMN: usize = 128;

/// `?column=mobile` or `?column=2`
fn column(query: &mut Query) -> Option<String> {
    let given = query.text("column")?;
    if given.trim().is_empty() || given.len() > LONGEST_COLUMN || given == "0" {
        query.complain(
            "column",
            "not-a-column",
            "expected the name of a column in the header, or its place from 1",
        );
    }
    Some(given.trim().to_owned())
}

/// A JSON body.
pub async fn read_json(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    match content_type(headers, &[])? {
        Type::Text(_) => read_bytes(body, Type::Text(Format::Json)).await,
        Type::Gzip => Err(ApiError::UnsupportedType(
            "expected application/json; to send a list as application/gzip, create the schedule with \"draft\": true and append"
                .to_owned(),
        )),
    }
}

/// Far more than a login or a user's fields take.
const MAX_SMALL: usize = 16 * 1024;

/// A JSON body of a few fields.
pub async fn read_small_json(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    content_type(headers, &[])?;
    let too_large = |_| ApiError::TooLarge(format!("expected at most {MAX_SMALL} bytes"));
    axum::body::to_bytes(body, MAX_SMALL)
        .await
        .map_err(too_large)
}

/// A body of any type, whole: no call brings more than a list.
pub async fn read_any(body: Body) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(body, MAX_TEXT)
        .await
        .map_err(|_| too_large(MAX_TEXT, "text"))
}

fn content_type(headers: &HeaderMap, others: &[(&str, Format)]) -> Result<Type, ApiError> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("identity");
    if !encoding.eq_ignore_ascii_case("identity") {
        let detail = format!(
            "expected no Content-Encoding, found {encoding}: send gzip as the content type application/gzip"
        );
        return Err(ApiError::UnsupportedType(detail));
    }
    match essence.as_str() {
        "application/json" => Ok(Type::Text(Format::Json)),
        "application/gzip" | "application/x-gzip" => Ok(Type::Gzip),
        other => others
            .iter()
            .find(|(name, _)| *name == other)
            .map(|(_, format)| Type::Text(*format))
            .ok_or_else(|| {
                let mut names = vec!["application/json"];
                names.extend(others.iter().map(|(name, _)| *name));
                if !others.is_empty() {
                    names.push("application/gzip");
                }
                ApiError::UnsupportedType(format!(
                    "expected one of: {}; found `{essence}`",
                    names.join(", ")
                ))
            }),
    }
}

async fn read_bytes(body: Body, content_type: Type) -> Result<Bytes, ApiError> {
    let (limit, kind) = if content_type == Type::Gzip {
        (MAX_BINARY, "binary")
    } else {
        (MAX_TEXT, "text")
    };
    let bytes = axum::body::to_bytes(body, limit)
        .await
        .map_err(|_| too_large(limit, kind))?;
    if content_type != Type::Gzip && (is_gzip(&bytes) || was_gzip(&bytes)) {
        let detail = "this is gzip under a text's content type, which gateways destroy: send it as application/gzip";
        return Err(ApiError::UnsupportedType(detail.to_owned()));
    }
    Ok(bytes)
}

fn too_large(limit: usize, kind: &str) -> ApiError {
    ApiError::TooLarge(format!(
        "expected at most {limit} bytes of {kind} a call; append a longer list by several calls"
    ))
}

/// Whether it begins as gzip does (RFC 1952, section 2.3.1).
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1F, 0x8B])
}

/// Whether it was gzip, until something read it as UTF-8 and put U+FFFD, or U+008B, for what isn't.
pub fn was_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1F, 0xEF, 0xBF, 0xBD]) || bytes.starts_with(&[0x1F, 0xC2, 0x8B])
}

/// A format by its beginning: `[` and `{"recipients"` begin JSON, a string or another object NDJSON, all else is CSV.
pub fn sniff(text: &[u8]) -> Format {
    let text = text
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(text)
        .trim_ascii_start();
    match text.first() {
        Some(b'[') => Format::Json,
        Some(b'{') if text[1..].trim_ascii_start().starts_with(b"\"recipients\"") => Format::Json,
        Some(b'{') => Format::Ndjson,
        // CSV may begin with a quote too; a JSON string is alone on its line, with nothing behind it but white space.
        Some(b'"') => sniff_quote(text),
        _ => Format::Csv,
    }
}

fn sniff_quote(text: &[u8]) -> Format {
    let line = text
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let text = serde_json::from_slice::<&str>(line);
    if text.is_ok_and(|text| !text.eq_ignore_ascii_case("phone")) {
        Format::Ndjson
    } else {
        Format::Csv
    }
}
