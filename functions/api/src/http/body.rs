//! Reads bodies: the content type, the size limits, and gzip under a wrong content type.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use memchr::memmem;

use crate::http::error::ApiError;

/// Bytes of an event that Lambda accepts (6 MB), in which the body is one string.
#[cfg(test)]
const MAX_EVENT: usize = 6 * 1024 * 1024;
/// Bytes of the other members of an event: headers, path, claims.
#[cfg(test)]
const MAX_HEADERS: usize = 128 * 1024;
/// Bytes of a text. In the event, quotes and line ends take two bytes each, which is a seventh of a
/// JSON list of numbers.
const MAX_TEXT: usize = 5 * 1024 * 1024;
/// Bytes of a binary body, which the event contains in base64.
const MAX_BINARY: usize = 4_600_000;
/// Bytes of a JSON body of a few fields: far more than a login or a user needs.
const MAX_SMALL: usize = 16 * 1024;

/// The content type of JSON.
pub const JSON: &str = "application/json";
/// The content type of gzip.
pub const GZIP: &str = "application/gzip";
/// The content type of bytes of any kind, which no gateway converts.
pub const OCTETS: &str = "application/octet-stream";
/// U+FFFD in UTF-8, which replaces what is not valid text.
pub const REPLACEMENT: &[u8; 3] = b"\xEF\xBF\xBD";

/// Reads a JSON body.
pub async fn read_json(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    match content_type(headers)?.as_str() {
        JSON => read_text(body).await,
        GZIP => Err(ApiError::UnsupportedType(
            "expected application/json; to send a list as application/gzip, create the schedule with \"draft\": true and append"
                .to_owned(),
        )),
        other => Err(unsupported(&[JSON], other)),
    }
}

/// Reads a JSON body of a few fields.
pub async fn read_small_json(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let content_type = content_type(headers)?;
    if content_type != JSON && content_type != GZIP {
        return Err(unsupported(&[JSON], &content_type));
    }
    let too_large = |_| ApiError::TooLarge(format!("expected at most {MAX_SMALL} bytes"));
    axum::body::to_bytes(body, MAX_SMALL)
        .await
        .map_err(too_large)
}

/// Reads a JSON body of a few fields that may be missing, or null: then it is an object without fields.
pub async fn read_optional_json(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let too_large = |_| ApiError::TooLarge(format!("expected at most {MAX_SMALL} bytes"));
    let bytes = axum::body::to_bytes(body, MAX_SMALL)
        .await
        .map_err(too_large)?;
    if bytes.is_empty() || bytes == "null" {
        return Ok(Bytes::from_static(b"{}"));
    }
    read_small_json(headers, Body::from(bytes)).await
}

/// Reads a body of any content type as it is.
pub async fn read_any(body: Body) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(body, MAX_TEXT)
        .await
        .map_err(|_| too_large(MAX_TEXT, "text"))
}

/// Reads a body of a text type. Rejects gzip, which gateways corrupt under such a type.
pub async fn read_text(body: Body) -> Result<Bytes, ApiError> {
    let bytes = read_any(body).await?;
    if is_gzip(&bytes) || was_gzip(&bytes) {
        let detail = "expected text, found gzip, which gateways corrupt under a text type: send it as application/gzip";
        return Err(ApiError::UnsupportedType(detail.to_owned()));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        let detail = "expected text, found a ZIP file, such as a spreadsheet, which gateways corrupt under a text type: send XLSX and ODS \
                      as their own content types";
        return Err(ApiError::UnsupportedType(detail.to_owned()));
    }
    match find_replacement(&bytes) {
        None => Ok(bytes),
        Some((line, column)) => Err(ApiError::Malformed(format!(
            "expected text in UTF-8: line {line}, column {column} has the character U+FFFD, which replaces lost ones; send a list \
             in another encoding as application/octet-stream with its charset, such as windows-1252, or save it as UTF-8"
        ))),
    }
}

/// Returns line and column, from 1, of the first U+FFFD. The column is in bytes.
fn find_replacement(text: &[u8]) -> Option<(usize, usize)> {
    let at = memmem::find(text, REPLACEMENT)?;
    let lines = text[..at].split(|byte| *byte == b'\n').count();
    let begin = text[..at].iter().rposition(|byte| *byte == b'\n');
    Some((lines, at - begin.map_or(0, |begin| begin + 1) + 1))
}

/// Reads a binary body.
pub async fn read_binary(body: Body) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(body, MAX_BINARY)
        .await
        .map_err(|_| too_large(MAX_BINARY, "binary data"))
}

/// Returns the content type in lower case and without parameters; `application/x-gzip` counts as
/// [`GZIP`]. Fails if the body has a `Content-Encoding`.
pub fn content_type(headers: &HeaderMap) -> Result<String, ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let encoding = text(header::CONTENT_ENCODING).unwrap_or("identity");
    if !encoding.eq_ignore_ascii_case("identity") {
        let detail = format!(
            "expected no Content-Encoding, found {encoding}: send gzip as the content type application/gzip"
        );
        return Err(ApiError::UnsupportedType(detail));
    }
    let given = text(header::CONTENT_TYPE).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    Ok(if essence == "application/x-gzip" {
        GZIP.to_owned()
    } else {
        essence
    })
}

/// Returns the error for a content type that is not one of `expected`.
pub fn unsupported(expected: &[&str], found: &str) -> ApiError {
    ApiError::UnsupportedType(format!(
        "expected one of: {}; found `{found}`",
        expected.join(", ")
    ))
}

fn too_large(limit: usize, kind: &str) -> ApiError {
    ApiError::TooLarge(format!(
        "expected at most {limit} bytes of {kind} per call; append a longer list in several calls"
    ))
}

/// Returns whether the bytes begin as gzip does (RFC 1952, section 2.3.1).
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1F, 0x8B])
}

/// Returns whether the bytes were gzip before they were converted to UTF-8, which replaces the
/// second byte with U+FFFD or U+008B.
pub fn was_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1F, 0xEF, 0xBF, 0xBD]) || bytes.starts_with(&[0x1F, 0xC2, 0x8B])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_character_has_a_line_and_a_column() {
        assert_eq!(find_replacement("a\nbc\u{FFFD}".as_bytes()), Some((2, 3)));
        assert_eq!(find_replacement("\u{FFFD}".as_bytes()), Some((1, 1)));
        assert_eq!(find_replacement("Jos\u{E9} \u{FFFC}".as_bytes()), None);
    }

    #[test]
    fn the_largest_bodies_fit_into_an_event() {
        const ROOM: usize = MAX_EVENT - MAX_HEADERS;
        let numbers = MAX_TEXT / r#""+60123456789","#.len();
        assert!(numbers * r#"\"+60123456789\","#.len() <= ROOM);
        let lines = MAX_TEXT / "+60123456789\n".len();
        assert!(lines * r"+60123456789\n".len() <= ROOM);
        assert!(MAX_BINARY.div_ceil(3) * 4 <= ROOM);
    }
}
