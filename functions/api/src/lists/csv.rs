//! Lists as CSV (RFC 4180): one column, a header that names the phone numbers, or a column that the
//! request selects. Quotes, CRLF and a byte order mark are accepted, and so are the semicolons or
//! tabs that spreadsheets of many countries write instead of commas, and a line that names them.

use std::io::{self, Read};

use csv::{ByteRecord, ReaderBuilder};

use crate::{
    http::error::ApiError,
    lists::{entry::Sink, guard, quotes::Quotes, table::Table},
};

/// A byte order mark in UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";
/// The beginning of a line that names the separator.
const NAME: &[u8] = b"sep=";
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

/// Parses a list. Rows without a filled field are skipped, as empty lines are.
pub fn parse(text: impl Read, sink: &mut Sink) -> Result<(), ApiError> {
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
    let named = named_separator(&beginning);
    let separator = named.unwrap_or_else(|| separator(&beginning));
    reader
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(16 * 1024)
        .delimiter(separator);
    let mut records = reader.from_reader(Quotes::new(beginning.chain(text), separator));
    let mut record = ByteRecord::new();
    if named.is_some() {
        // The line that names the separator.
        records.read_byte_record(&mut record).map_err(explain)?;
    }
    let mut table = Table::default();
    while records.read_byte_record(&mut record).map_err(explain)? {
        // The line after the record, minus the lines of the record.
        let lines = record.as_slice().split(|byte| *byte == b'\n').count() as u64;
        sink.position = records.position().line().saturating_sub(lines) as u32;
        table.row(&record, sink)?;
    }
    Ok(())
}

/// Returns the separator that a first line such as `sep=;` names, which spreadsheets write.
fn named_separator(beginning: &[u8]) -> Option<u8> {
    let line = beginning.split(|byte| *byte == b'\n').next()?;
    let line = line.strip_prefix(MARK).unwrap_or(line);
    let quoted = line
        .strip_prefix(b"\"")
        .and_then(|line| line.strip_suffix(b"\""));
    let (name, value) = quoted.unwrap_or(line).split_at_checked(NAME.len())?;
    match value {
        [separator] | [separator, b' '] if name.eq_ignore_ascii_case(NAME) => {
            (separator.is_ascii_punctuation() || *separator == b'\t').then_some(*separator)
        }
        _ => None,
    }
}

/// Returns the separator of the fields: the most frequent of comma, semicolon and tab in the first
/// line with text, outside of quotes.
fn separator(beginning: &[u8]) -> u8 {
    let beginning = beginning.strip_prefix(MARK).unwrap_or(beginning);
    let has_text = |line: &&[u8]| {
        line.iter()
            .any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
    };
    let mut lines = beginning.split(|byte| *byte == b'\n');
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in lines.find(has_text).unwrap_or_default() {
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

fn explain(error: csv::Error) -> ApiError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => guard::explain(&error),
        other => ApiError::Malformed(format!("expected CSV: {other:?}")),
    }
}
