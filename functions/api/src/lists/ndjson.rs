//! A list as NDJSON: a string or an object a line; blank lines are skipped.

use std::io::BufRead;

use crate::http::error::ApiError;
use crate::lists::{entry::Sink, guard, json};

/// Reads a list to its end. A line that is no JSON refuses the list, and is named.
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
    // The parser knows of this one line only, and says "line 1 column 5".
    let (column, error) = (error.column(), error.to_string());
    let error = error.split(" at line ").next().unwrap_or_default();
    ApiError::Malformed(format!(
        "expected a JSON string or object a line: {error} at line {line} column {column}"
    ))
}
