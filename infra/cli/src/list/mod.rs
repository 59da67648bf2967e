//! The list: a file as people have it, read once and split into pieces that one call may have.
//!
//! A short list is sent as it is. A longer one is split between rows, and each piece begins with the
//! header. JSON that does not fit one call becomes NDJSON.

mod csv;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use serde_json::value::RawValue;

use crate::{
    failure::Failure,
    options::{ListFormat, Reading},
    problem::Positions,
};

/// Bytes of text in a call. Compressed they are fewer than the API's limit of 4.6 MB in any case.
const MAX_BYTES: usize = 4_000_000;
/// Rows in a call, so that it is answered in time.
const MAX_ROWS: u64 = 50_000;
/// Bytes from which the format is detected.
const BEGINNING: usize = 4096;
/// What a decoder writes for bytes that are no text.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// The limits of a piece.
#[derive(Clone, Copy)]
pub struct Limits {
    bytes: usize,
    rows: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: MAX_BYTES,
            rows: MAX_ROWS,
        }
    }
}

/// A part of the list that is sent in one call.
#[derive(Debug)]
pub struct Piece {
    /// Its text.
    pub text: Vec<u8>,
    /// Where its positions are in the file.
    pub positions: Positions,
    /// Its rows, without the header.
    pub rows: u64,
}

impl Piece {
    /// Returns the text, compressed.
    pub fn compressed(&self) -> io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.text)?;
        encoder.finish()
    }
}

/// A list that is being read.
pub struct List {
    source: Box<dyn BufRead>,
    /// Its format.
    pub format: ListFormat,
    /// The encoding that the API has to know.
    pub charset: Option<String>,
    is_decoded: bool,
    limits: Limits,
    name: String,
    splitter: csv::Records,
    head: Option<csv::Head>,
    /// Read, but not yet in a piece.
    next: Option<csv::Row>,
    line: u64,
    json: Option<Vec<Piece>>,
}

/// Opens a file, or standard input.
pub fn open(path: &Path, reading: &Reading) -> Result<List, Failure> {
    let name = path.display().to_string();
    let file: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| Failure::file(&name, &error))?)
    };
    List::new(file, &name, reading, Limits::default())
}

/// Returns the text of a file that may be compressed.
fn decompressed(file: Box<dyn Read>) -> io::Result<BufReader<Box<dyn Read>>> {
    let mut file = BufReader::with_capacity(BEGINNING, file);
    let is_gzip = file.fill_buf()?.starts_with(b"\x1f\x8b");
    Ok(BufReader::new(if is_gzip {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    }))
}

fn named_charset(reading: &Reading) -> Result<Option<&'static Encoding>, Failure> {
    let Some(label) = reading.charset.as_deref() else {
        return Ok(None);
    };
    let named = Encoding::for_label(label.trim().as_bytes());
    let expected = "expected an encoding, such as windows-1252";
    let unknown = || Failure::Usage(format!("--charset {label}: {expected}"));
    named.map(Some).ok_or_else(unknown)
}

impl List {
    /// Detects what the list is, from its beginning.
    pub fn new(
        file: Box<dyn Read>,
        name: &str,
        reading: &Reading,
        limits: Limits,
    ) -> Result<Self, Failure> {
        let failed = |error: &io::Error| Failure::file(name, error);
        let mut file = decompressed(file).map_err(|error| failed(&error))?;
        let begin = file.fill_buf().map_err(|error| failed(&error))?;
        let named = named_charset(reading)?;
        let marked = Encoding::for_bom(begin).map(|(marked, _)| marked);
        let charset = marked.or(named);
        // Rows of UTF-16 cannot be found by their bytes.
        let is_decoded = charset.is_some_and(|charset| [UTF_16LE, UTF_16BE].contains(&charset));
        let source: Box<dyn BufRead> = if is_decoded {
            let decoder = DecodeReaderBytesBuilder::new()
                .encoding(charset)
                .strip_bom(true)
                .build(file);
            Box::new(BufReader::new(decoder))
        } else {
            Box::new(file)
        };
        let mut list = Self {
            source,
            format: ListFormat::Csv,
            charset: named
                .filter(|_| !is_decoded)
                .map(|charset| charset.name().to_owned()),
            is_decoded,
            limits,
            name: name.to_owned(),
            splitter: csv::Records::default(),
            head: None,
            next: None,
            line: 1,
            json: None,
        };
        let begin = list.source.fill_buf().map_err(|error| failed(&error))?;
        list.format = reading.format.unwrap_or_else(|| detect(begin));
        list.splitter = csv::Records::new(begin, list.format);
        Ok(list)
    }

    /// Returns the next piece; `None` at the end of the list.
    pub fn piece(&mut self) -> Result<Option<Piece>, Failure> {
        let piece = if self.format == ListFormat::Json {
            self.json_piece()
        } else {
            self.rows()
        };
        let piece = piece.map_err(|error| Failure::file(&self.name, &error))?;
        if let Some(piece) = &piece
            && self.is_decoded
            && piece
                .text
                .windows(REPLACEMENT.len())
                .any(|bytes| bytes == REPLACEMENT)
        {
            let line = piece.positions.place(piece.positions.head + 1);
            let text = format!("{}: after line {line}: not valid UTF-16", self.name);
            return Err(Failure::Usage(text));
        }
        Ok(piece)
    }

    fn rows(&mut self) -> io::Result<Option<Piece>> {
        if self.head.is_none() {
            let head = self.read_head()?;
            self.line += head.lines;
            self.head = Some(head);
        }
        let head = self.head.clone().unwrap_or_default();
        let is_first = self.line == head.lines + 1 && self.next.is_none();
        let mut text = head.text.clone();
        let (mut rows, mut lines) = (0, 0);
        loop {
            let row = match self.next.take() {
                Some(row) => Some(row),
                None => self.splitter.read(&mut self.source)?,
            };
            let Some(row) = row else { break };
            let is_full =
                rows >= self.limits.rows || text.len() + row.text.len() > self.limits.bytes;
            if rows > 0 && is_full {
                self.next = Some(row);
                break;
            }
            text.extend_from_slice(&row.text);
            (rows, lines) = (rows + 1, lines + row.lines);
        }
        if rows == 0 && (!is_first || head.text.is_empty()) {
            return Ok(None);
        }
        let positions = Positions {
            head: head.lines,
            offset: self.line - 1 - head.lines,
            are_lines: true,
        };
        // The next piece begins behind these lines, also if there is none.
        self.line += lines.max(u64::from(rows == 0));
        Ok(Some(Piece {
            text,
            positions,
            rows,
        }))
    }

    /// Reads the lines that each piece begins with: the header of a table, and a line that names its
    /// separator.
    fn read_head(&mut self) -> io::Result<csv::Head> {
        let mut head = csv::Head::default();
        if self.format != ListFormat::Csv {
            return Ok(head);
        }
        while let Some(row) = self.splitter.read(&mut self.source)? {
            let is_header = !row.is_blank() && !row.names_separator();
            if is_header && !self.splitter.is_header(&row) {
                self.next = Some(row);
                break;
            }
            head.text.extend_from_slice(&row.text);
            head.lines += row.lines;
            if is_header {
                break;
            }
        }
        if !head.text.is_empty() && !head.text.ends_with(b"\n") && !head.text.ends_with(b"\r") {
            head.text.push(b'\n');
        }
        Ok(head)
    }

    /// Returns JSON as it is if it fits one call, and else as NDJSON.
    fn json_piece(&mut self) -> io::Result<Option<Piece>> {
        if self.json.is_none() {
            let mut text = Vec::new();
            self.source.read_to_end(&mut text)?;
            let mut pieces = self.split_json(text)?;
            pieces.reverse();
            self.json = Some(pieces);
        }
        Ok(self.json.as_mut().and_then(Vec::pop))
    }

    fn split_json(&self, text: Vec<u8>) -> io::Result<Vec<Piece>> {
        let entries = json_entries(&text)?;
        let rows = entries.len() as u64;
        if text.len() <= self.limits.bytes && rows <= self.limits.rows {
            let positions = Positions::default();
            return Ok(vec![Piece {
                text,
                positions,
                rows,
            }]);
        }
        let mut pieces: Vec<Piece> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            // Within a token there is no line end.
            let entry = entry.get().replace(['\n', '\r'], " ");
            let has_room = pieces.last().is_some_and(|piece| {
                piece.rows < self.limits.rows && piece.text.len() + entry.len() < self.limits.bytes
            });
            if !has_room {
                let positions = Positions {
                    head: 0,
                    offset: at as u64,
                    are_lines: true,
                };
                pieces.push(Piece {
                    text: Vec::new(),
                    positions,
                    rows: 0,
                });
            }
            let Some(piece) = pieces.last_mut() else {
                continue;
            };
            piece.text.extend_from_slice(entry.as_bytes());
            piece.text.push(b'\n');
            piece.rows += 1;
        }
        Ok(pieces)
    }

    /// Returns the format in which a piece is sent.
    pub const fn sent_as(&self, piece: &Piece) -> &'static str {
        match self.format {
            ListFormat::Csv => "csv",
            ListFormat::Json if !piece.positions.are_lines => "json",
            ListFormat::Ndjson | ListFormat::Json => "ndjson",
        }
    }
}

fn json_entries(text: &[u8]) -> io::Result<Vec<&RawValue>> {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        recipients: Vec<&'a RawValue>,
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.trim_ascii_start().starts_with(b"{") {
        return Ok(serde_json::from_slice::<Body>(text)?.recipients);
    }
    Ok(serde_json::from_slice(text)?)
}

/// Returns the format of a list, as the API detects it.
fn detect(begin: &[u8]) -> ListFormat {
    let text = begin
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(begin)
        .trim_ascii_start();
    let line = text
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let is_number = |text: &str| text.chars().any(char::is_numeric);
    match text.first() {
        Some(b'[') => ListFormat::Json,
        Some(b'{') if text[1..].trim_ascii_start().starts_with(b"\"recipients\"") => {
            ListFormat::Json
        }
        Some(b'{') => ListFormat::Ndjson,
        Some(b'"') if serde_json::from_slice::<&str>(line).is_ok_and(is_number) => {
            ListFormat::Ndjson
        }
        _ => ListFormat::Csv,
    }
}

#[cfg(test)]
mod tests;
