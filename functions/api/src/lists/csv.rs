//! Lists as CSV (RFC 4180): one column, a header with the column `phone`, or a column that the
//! request selects. Quotes, CRLF and a byte order mark are accepted, and so are the semicolons or
//! tabs that spreadsheets of many countries write instead of commas.

use std::io::{self, Read};

use csv::{ByteRecord, ReaderBuilder};

use shared::message::template::Variables;

use crate::{
    http::error::{ApiError, FieldError},
    lists::{entry::Sink, guard, options::AcceptedVariables, quotes::Quotes, variables::Columns},
};

const HEADER: &[u8] = b"phone";
const NOT_UTF_8: &str = "expected a phone number in UTF-8; name another encoding with charset, such as windows-1252, and send the \
                         list as application/octet-stream";
/// Bytes of a list from which the separator of its fields is detected.
const BEGINNING: u64 = 4096;

/// Ends each line with LF, also the last one: the parser ends a record at either half of CRLF, so
/// that its own count of lines would be wrong.
struct Lines<R> {
    inner: R,
    last: u8,
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.inner.read(buffer)?;
            if count == 0 && self.last != b'\n' && self.last != b'\r' && !buffer.is_empty() {
                (self.last, buffer[0]) = (b'\n', b'\n');
                return Ok(1);
            }
            let kept = self.keep(&mut buffer[..count]);
            // If nothing is kept, the buffer contained only the second half of a CRLF: read on.
            if kept > 0 || count == 0 {
                return Ok(kept);
            }
        }
    }
}

impl<R> Lines<R> {
    fn keep(&mut self, buffer: &mut [u8]) -> usize {
        let mut kept = 0;
        for at in 0..buffer.len() {
            let byte = buffer[at];
            let second_half = byte == b'\n' && self.last == b'\r';
            self.last = byte;
            if second_half {
                continue;
            }
            buffer[kept] = if byte == b'\r' { b'\n' } else { byte };
            kept += 1;
        }
        kept
    }
}

/// Parses a list. `selected` is the name or the position of the column with the phone numbers.
pub fn parse(text: impl Read, selected: Option<&str>, sink: &mut Sink) -> Result<(), ApiError> {
    let mut text = Lines {
        inner: text,
        last: b'\n',
    };
    let mut beginning = Vec::new();
    text.by_ref()
        .take(BEGINNING)
        .read_to_end(&mut beginning)
        .map_err(|error| guard::explain(&error))?;
    let mut reader = ReaderBuilder::new();
    let separator = separator(&beginning);
    reader
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(16 * 1024)
        .delimiter(separator);
    let mut records = reader.from_reader(Quotes::new(beginning.chain(text), separator));
    let mut record = ByteRecord::new();
    let mut layout: Option<Layout> = None;
    while records.read_byte_record(&mut record).map_err(explain)? {
        // The line after the record, minus the lines of the record.
        let lines = record.as_slice().split(|byte| *byte == b'\n').count() as u64;
        sink.position = records.position().line().saturating_sub(lines) as u32;
        sink.unused.set(0);
        if let Some(layout) = &layout {
            layout.entry(&record, sink)?;
            continue;
        }
        let (column, is_header) = first_record(&record, selected)?;
        let variables = match sink.accepted() {
            AcceptedVariables::Of(template) if is_header => {
                Some(Columns::of(&record, column, template))
            }
            _ => None,
        };
        let layout = layout.insert(Layout { column, variables });
        if !is_header {
            layout.entry(&record, sink)?;
        }
    }
    Ok(())
}

/// Returns the separator of the fields: the most frequent of comma, semicolon and tab in the first
/// line, outside of quotes.
fn separator(beginning: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in beginning.iter().take_while(|byte| **byte != b'\n') {
        quoted ^= *byte == b'"';
        if let Some((_, count)) = counts
            .iter_mut()
            .find(|(separator, _)| !quoted && separator == byte)
        {
            *count += 1;
        }
    }
    // The first of equal counts, so that a line without separators uses commas.
    counts
        .iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map_or(b',', |(separator, _)| *separator)
}

/// Returns the column with the phone numbers, and whether the first record is a header. A column
/// that is selected by name has a header; for one that is selected by position, a first line
/// without a digit in that column is a header.
fn first_record(record: &ByteRecord, selected: Option<&str>) -> Result<(usize, bool), ApiError> {
    if let Some(position) = selected.and_then(|selected| selected.parse::<usize>().ok()) {
        let column = position.saturating_sub(1);
        let is_header = record
            .get(column)
            .is_some_and(|field| !field.iter().any(u8::is_ascii_digit));
        return Ok((column, is_header));
    }
    let name = selected.map_or(HEADER, str::as_bytes);
    match record
        .iter()
        .position(|field| field.trim_ascii().eq_ignore_ascii_case(name))
    {
        Some(column) => Ok((column, true)),
        None if record.len() == 1 && selected.is_none() => Ok((0, false)),
        None => {
            let found: Vec<_> = record
                .iter()
                .map(|field| String::from_utf8_lossy(&field[..field.len().min(32)]))
                .take(10)
                .collect();
            let detail = format!(
                "expected a column `{}`, or ?column= with its name or position; the first line has {} columns, found: {}",
                String::from_utf8_lossy(name),
                record.len(),
                found.join(", ")
            );
            Err(ApiError::invalid(vec![FieldError {
                position: Some(1),
                ..FieldError::new("recipients", "no-phone-column", detail)
            }]))
        }
    }
}

/// The columns of a line.
struct Layout {
    /// The column with the phone number.
    column: usize,
    /// The columns with variables.
    variables: Option<Columns>,
}

impl Layout {
    fn entry(&self, record: &ByteRecord, sink: &mut Sink) -> Result<(), ApiError> {
        let variables = self
            .variables
            .as_ref()
            .map_or_else(|| Ok(Variables::new()), |columns| columns.read(record));
        let pushed = match (record.get(self.column).map(std::str::from_utf8), variables) {
            (Some(Ok(field)), Ok(variables)) => sink.entry(field, &variables),
            (Some(Ok(field)), Err(detail)) => sink.refuse(field, "not-utf-8", detail),
            (Some(Err(_)), _) => sink.refuse("", "not-utf-8", NOT_UTF_8),
            (None, _) => sink.refuse("", "missing", "expected a phone number in this column"),
        };
        // The sink has recorded the reason.
        pushed.map_err(|stopped| ApiError::Internal(stopped.to_string()))
    }
}

fn explain(error: csv::Error) -> ApiError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => guard::explain(&error),
        other => ApiError::Malformed(format!("expected CSV: {other:?}")),
    }
}
