//! Lists as NDJSON: one string or object per line; blank lines are skipped.

use std::io::BufRead;

use crate::{
    http::error::ApiError,
    lists::{entry::Sink, guard, json},
};

/// Parses a list. A line that is not valid JSON rejects the list; the error names it.
pub fn parse(mut lines: impl BufRead, sink: &mut Sink) -> Result<(), ApiError> {
    let mut line = Vec::new();
    loop {
        line.clear();
        sink.position += 1;
        if lines
            .read_until(b'\n', &mut line)
            .map_err(|error| guard::explain(&error))?
            == 0
        {
            return Ok(());
        }
        let json = line.trim_ascii();
        let json = if sink.position == 1 {
            json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json)
        } else {
            json
        };
        sink.unused.set(0);
        if !json.is_empty() {
            json::parse_line(json, sink).map_err(|error| malformed(sink.position, &error))?;
        }
    }
}

fn malformed(line: u32, error: &serde_json::Error) -> ApiError {
    // The parser receives one line only, and reports "line 1 column 5".
    let (column, error) = (error.column(), error.to_string());
    let error = error.split(" at line ").next().unwrap_or_default();
    ApiError::Malformed(format!(
        "expected one JSON string or object per line: {error} at line {line} column {column}"
    ))
}
