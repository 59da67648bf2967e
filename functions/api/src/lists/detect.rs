//! Detects the format of a list from its first bytes.

use crate::lists::options::Format;

/// Returns the format: `[` and `{"recipients"` begin JSON, a string or another object begins
/// NDJSON, and everything else is CSV.
pub fn detect(text: &[u8]) -> Format {
    let text = text
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(text)
        .trim_ascii_start();
    match text.first() {
        Some(b'[') => Format::Json,
        Some(b'{') if text[1..].trim_ascii_start().starts_with(b"\"recipients\"") => Format::Json,
        Some(b'{') => Format::Ndjson,
        // CSV may begin with a quote too. A JSON string is alone on its line: only white space
        // follows it.
        Some(b'"') => detect_quoted(text),
        _ => Format::Csv,
    }
}

fn detect_quoted(text: &[u8]) -> Format {
    let line = text
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    // A name of a column, or a separator, has no digits.
    let text = serde_json::from_slice::<&str>(line);
    if text.is_ok_and(|text| text.chars().any(char::is_numeric)) {
        Format::Ndjson
    } else {
        Format::Csv
    }
}
