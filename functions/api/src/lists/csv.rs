//! A list as CSV (RFC 4180): one column, a header with a column that is called `phone`, or a column that was chosen. Quotes, CRLF, a byte
//! order mark, and the semicolons or tabs that spreadsheets of many countries write instead of commas are understood.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use csv::{ByteRecord, ReaderBuilder};

use shared::message::template::Variables;

use crate::http::error::{ApiError, FieldError};
use crate::lists::{Wanted, entry::Sink, guard, variables::Columns};

const HEADER: &[u8] = b"phone";
/// So much of a list is looked at to tell what separates its fields.
const BEGINNING: u64 = 4096;

/// Makes every line end in LF, the last one too: the parser ends a record at either half of CRLF, so that its own count of
/// lines would be off. And counts quotes: in CSV that is whole there are as many that open as that close. The parser takes
/// the end of the list for the end of a quote that is left open, with half of the list in it.
struct Lines<R> {
    inner: R,
    last: u8,
    open_quote: Rc<Cell<bool>>,
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
            // Nothing kept is not the end yet: it was the second half of a CRLF.
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
            self.open_quote.set(self.open_quote.get() ^ (byte == b'"'));
            buffer[kept] = if byte == b'\r' { b'\n' } else { byte };
            kept += 1;
        }
        kept
    }
}

/// Reads a list to its end.
pub fn parse(text: impl Read, wanted: Option<&str>, sink: &mut Sink) -> Result<(), ApiError> {
    let open_quote = Rc::new(Cell::new(false));
    let mut text = Lines {
        inner: text,
        last: b'\n',
        open_quote: open_quote.clone(),
    };
    let mut beginning = Vec::new();
    text.by_ref()
        .take(BEGINNING)
        .read_to_end(&mut beginning)
        .map_err(|error| guard::explain(&error))?;
    let mut reader = ReaderBuilder::new();
    reader
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(16 * 1024)
        .delimiter(separator(&beginning));
    let mut records = reader.from_reader(beginning.chain(text));
    let mut record = ByteRecord::new();
    let mut layout: Option<Layout> = None;
    while records.read_byte_record(&mut record).map_err(explain)? {
        // The line behind the record, less the lines that it takes itself.
        let lines = record.as_slice().split(|byte| *byte == b'\n').count() as u64;
        sink.position = records.position().line().saturating_sub(lines) as u32;
        sink.unused.set(0);
        if let Some(layout) = &layout {
            layout.entry(&record, sink)?;
            continue;
        }
        let (column, is_header) = first_record(&record, wanted)?;
        let others = match sink.wanted() {
            Wanted::For(template) if is_header => Some(Columns::of(&record, column, template)),
            _ => None,
        };
        let layout = layout.insert(Layout { column, others });
        if !is_header {
            layout.entry(&record, sink)?;
        }
    }
    if open_quote.get() {
        return Err(ApiError::Malformed(format!(
            "expected CSV: a quote is not closed, at line {} or before",
            sink.position
        )));
    }
    Ok(())
}

/// What separates the fields of the first line: of comma, semicolon and tab the one that stands there most often, outside of quotes.
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
    // The first of equals, so a line without any is one of commas.
    counts
        .iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map_or(b',', |(separator, _)| *separator)
}

/// The column with the numbers, and whether this is a header. A column that is named has a header; where it is given by its place, a
/// first line without a digit there is one.
fn first_record(record: &ByteRecord, wanted: Option<&str>) -> Result<(usize, bool), ApiError> {
    if let Some(place) = wanted.and_then(|wanted| wanted.parse::<usize>().ok()) {
        let place = place.saturating_sub(1);
        let is_header = record
            .get(place)
            .is_some_and(|field| !field.iter().any(u8::is_ascii_digit));
        return Ok((place, is_header));
    }
    let name = wanted.map_or(HEADER, str::as_bytes);
    match record
        .iter()
        .position(|field| field.trim_ascii().eq_ignore_ascii_case(name))
    {
        Some(column) => Ok((column, true)),
        None if record.len() == 1 && wanted.is_none() => Ok((0, false)),
        None => {
            let found: Vec<_> = record
                .iter()
                .map(|field| String::from_utf8_lossy(&field[..field.len().min(32)]))
                .take(10)
                .collect();
            let detail = format!(
                "expected a column `{}`, or ?column= with its name or place; the first line has {} columns, found: {}",
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

/// Where things stand in a line.
struct Layout {
    /// The number.
    column: usize,
    /// What its text is made of.
    others: Option<Columns>,
}

impl Layout {
    fn entry(&self, record: &ByteRecord, sink: &mut Sink) -> Result<(), ApiError> {
        let variables = self
            .others
            .as_ref()
            .map_or_else(|| Ok(Variables::new()), |others| others.read(record));
        let pushed = match (record.get(self.column).map(std::str::from_utf8), variables) {
            (Some(Ok(field)), Ok(variables)) => sink.entry(field, &variables),
            (Some(Ok(field)), Err(detail)) => sink.refuse(field, "not-utf-8", detail),
            (Some(Err(_)), _) => sink.refuse("", "not-utf-8", "expected a number in UTF-8"),
            (None, _) => sink.refuse("", "missing", "expected a number in this column"),
        };
        // Why is known to the sink.
        pushed.map_err(|stopped| ApiError::Internal(stopped.to_string()))
    }
}

fn explain(error: csv::Error) -> ApiError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => guard::explain(&error),
        other => ApiError::Malformed(format!("expected CSV: {other:?}")),
    }
}
