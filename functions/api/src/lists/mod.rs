//! Reads lists of recipients: JSON, NDJSON and CSV, each also in gzip, and spreadsheets.
//!
//! A list is parsed on a separate thread, from the body in memory, and passed on in chunks of a few
//! thousand entries through a short channel. So a list of any size takes the memory of its body and
//! a few chunks, and parsing continues while the database writes.

pub mod calls;
mod charset;
pub mod copies;
mod csv;
mod detect;
pub mod doc;
pub mod duplicates;
pub mod entry;
mod guard;
mod gzip;
mod header;
mod json;
pub mod load;
pub mod names;
mod ndjson;
pub mod number;
pub mod options;
mod place;
mod quotes;
pub mod request;
pub mod sheet;
pub mod store;
mod table;
pub mod variables;

use std::{
    io::{BufReader, Cursor, Read},
    sync::{Arc, atomic::AtomicU32},
};

use axum::body::Bytes;
use tokio::{
    sync::mpsc::{self, Receiver},
    task::JoinHandle,
};

pub use crate::lists::options::{AcceptedVariables, Format, Options};
use crate::{
    http::error::ApiError,
    lists::{
        detect::detect,
        entry::{Chunk, Sink},
        guard::Guard,
    },
};

/// Bytes of a binary body from which the format is detected.
const PEEK: u64 = 16 * 1024;

const PACKED: &str =
    "expected the spreadsheet itself, without gzip, which would not make it smaller";

/// A list that is not parsed yet. A clone shares the bytes.
#[derive(Clone, Debug)]
pub struct List {
    /// The body of the request.
    pub bytes: Bytes,
    /// The format; `None`: it is detected from the first bytes.
    pub format: Option<Format>,
    /// Whether `bytes` is gzip.
    pub gzip: bool,
    /// How its entries are parsed.
    pub options: Options,
    /// How many entries were read so far, of all clones.
    pub entries: Arc<AtomicU32>,
}

/// A list that is being parsed.
pub struct Reading {
    /// The entries. Dropping the receiver ends the parsing.
    pub chunks: Receiver<Chunk>,
    /// The result of the parsing.
    pub end: JoinHandle<Result<(), ApiError>>,
}

impl List {
    /// Starts to parse the list. Must be called within a tokio runtime.
    pub fn read(self) -> Reading {
        let (sender, chunks) = mpsc::channel(2);
        let end = tokio::task::spawn_blocking(move || {
            let sink = Sink::new(sender, self.options.clone(), Arc::clone(&self.entries));
            self.parse(sink)
        });
        Reading { chunks, end }
    }

    fn parse(self, mut sink: Sink) -> Result<(), ApiError> {
        let parsed = if self.is_spreadsheet() {
            sheet::parse(&self.bytes, &mut sink)
        } else if self.gzip {
            gzip::open(&self.bytes).and_then(|text| self.parse_binary(text, &mut sink))
        } else if self.options.is_binary {
            self.parse_binary(&*self.bytes, &mut sink)
        } else {
            self.parse_text(&mut sink)
        };
        sink.end(parsed)
    }

    fn is_spreadsheet(&self) -> bool {
        let is_detected = || self.options.is_binary && sheet::is_spreadsheet(&self.bytes);
        !self.gzip
            && self
                .format
                .map_or_else(is_detected, |format| format == Format::Spreadsheet)
    }

    fn parse_text(&self, sink: &mut Sink) -> Result<(), ApiError> {
        let text = &*self.bytes;
        match self.format.unwrap_or_else(|| detect(text)) {
            Format::Json => json::parse_slice(text, sink),
            Format::Ndjson => ndjson::parse(text, sink),
            Format::Csv => csv::parse(Guard::new(text, sink.unused.clone()), sink),
            Format::Spreadsheet => sheet::parse(text, sink),
        }
    }

    fn parse_binary(&self, text: impl Read, sink: &mut Sink) -> Result<(), ApiError> {
        let text = charset::decode(text, self.options.charset);
        let text = text.map_err(|error| guard::explain(&error))?;
        let mut text = Guard::new(text, sink.unused.clone());
        let mut beginning = Vec::new();
        text.by_ref()
            .take(PEEK)
            .read_to_end(&mut beginning)
            .map_err(|error| guard::explain(&error))?;
        let format = self.format.unwrap_or_else(|| detect(&beginning));
        let text = BufReader::new(Cursor::new(beginning).chain(text));
        match format {
            Format::Json => json::parse_reader(text, sink),
            Format::Ndjson => ndjson::parse(text, sink),
            Format::Csv => csv::parse(text, sink),
            Format::Spreadsheet => Err(ApiError::Malformed(PACKED.to_owned())),
        }
    }
}

#[cfg(test)]
mod messy_files;
#[cfg(test)]
mod tests;
