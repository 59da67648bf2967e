//! Finds the rows of a table, or the lines of NDJSON, without changing a byte.

use std::io::{self, BufRead};

use crate::options::ListFormat;

/// Digits in a field from which on it is a number, not a name of a column.
const DIGITS: usize = 5;

/// A row with its line end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its bytes.
    pub text: Vec<u8>,
    /// Its lines: more than one if a quoted field has line ends.
    pub lines: u64,
}

/// The rows that each piece begins with.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Their bytes.
    pub text: Vec<u8>,
    /// Their lines.
    pub lines: u64,
}

/// Reads rows.
#[derive(Debug, Default)]
pub struct Records {
    separator: u8,
    /// Quotes have a meaning.
    has_quotes: bool,
}

/// Where in a row a reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first byte of a field.
    Begin,
    /// In a field without quotes, or behind one: quotes have no meaning.
    Plain,
    /// In a quoted field.
    Quoted,
    /// Behind a quote in such a field: it closes it, or is the first of two.
    Closing,
}

impl Records {
    /// Detects the separator from the beginning of a list.
    pub fn new(begin: &[u8], format: ListFormat) -> Self {
        Self {
            separator: separator(begin),
            has_quotes: format == ListFormat::Csv,
        }
    }

    /// Reads a row; `None` at the end.
    pub fn read(&self, source: &mut dyn BufRead) -> io::Result<Option<Row>> {
        let mut row = Row::default();
        let mut place = Place::Begin;
        let mut after_return = false;
        loop {
            let buffer = source.fill_buf()?;
            if buffer.is_empty() {
                row.lines += u64::from(!row.text.ends_with(b"\n") && !after_return);
                return Ok(Some(row).filter(|row| !row.text.is_empty()));
            }
            let mut used = 0;
            let mut is_complete = false;
            for &byte in buffer {
                if after_return {
                    after_return = false;
                    let is_second_half = byte == b'\n';
                    if place != Place::Quoted {
                        used += usize::from(is_second_half);
                        is_complete = true;
                        break;
                    }
                    if is_second_half {
                        used += 1;
                        continue;
                    }
                }
                used += 1;
                place = self.step(place, byte);
                let is_end = byte == b'\n' || byte == b'\r';
                row.lines += u64::from(is_end);
                after_return = byte == b'\r';
                if byte == b'\n' && place != Place::Quoted {
                    is_complete = true;
                    break;
                }
            }
            row.text.extend_from_slice(&buffer[..used]);
            source.consume(used);
            if is_complete {
                return Ok(Some(row));
            }
        }
    }

    const fn step(&self, place: Place, byte: u8) -> Place {
        let ends_field = byte == self.separator || byte == b'\n' || byte == b'\r';
        match place {
            Place::Begin if byte == b'"' && self.has_quotes => Place::Quoted,
            Place::Quoted if byte == b'"' => Place::Closing,
            Place::Closing if byte == b'"' => Place::Quoted,
            Place::Quoted => Place::Quoted,
            _ if ends_field => Place::Begin,
            _ => Place::Plain,
        }
    }

    /// Returns whether a first row has the names of columns: none of its fields is a number.
    pub fn is_header(&self, row: &Row) -> bool {
        let mut fields = row.text.split(|byte| *byte == self.separator);
        !fields.any(|field| {
            let digits = field.iter().filter(|byte| byte.is_ascii_digit()).count();
            digits >= DIGITS && !field.iter().any(u8::is_ascii_alphabetic)
        })
    }
}

impl Row {
    /// Returns whether no field is filled.
    pub fn is_blank(&self) -> bool {
        let text = self
            .text
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.text);
        text.iter()
            .all(|byte| byte.is_ascii_whitespace() || b",;\"'".contains(byte))
    }

    /// Returns whether the row names the separator, as spreadsheets write it.
    pub fn names_separator(&self) -> bool {
        named_separator(&self.text).is_some()
    }
}

fn named_separator(line: &[u8]) -> Option<u8> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let line = line.split(|byte| *byte == b'\n' || *byte == b'\r').next()?;
    let line = line
        .strip_prefix(b"\"")
        .and_then(|line| line.strip_suffix(b"\""))
        .unwrap_or(line);
    let (name, value) = line.split_at_checked(4)?;
    match value {
        [separator] | [separator, b' '] if name.eq_ignore_ascii_case(b"sep=") => Some(*separator),
        _ => None,
    }
}

/// Returns the separator that a first line names, or the most frequent one of the first line with
/// text, outside of quotes.
fn separator(begin: &[u8]) -> u8 {
    if let Some(named) = named_separator(begin) {
        return named;
    }
    let mut lines = begin.split(|byte| *byte == b'\n' || *byte == b'\r');
    let line = lines.find(|line| line.iter().any(u8::is_ascii_alphanumeric));
    let mut counts = [(b'\t', 0), (b';', 0), (b',', 0)];
    let mut is_quoted = false;
    for byte in line.unwrap_or_default() {
        is_quoted ^= *byte == b'"';
        for (separator, count) in &mut counts {
            *count += u32::from(!is_quoted && *separator == *byte);
        }
    }
    // The last of equal counts, so that a line without separators has commas.
    counts
        .iter()
        .max_by_key(|(_, count)| *count)
        .map_or(b',', |(separator, _)| *separator)
}
