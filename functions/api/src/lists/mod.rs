//! Lists of recipients, as they come in: JSON, NDJSON, CSV, also in gzip. A list is read on a thread of its own, from the body
//! as it lies in memory, and passed on in chunks of a few thousand through a short channel. So a list of any size takes the
//! memory of its body and a few chunks, and reading goes on while the database writes.

mod csv;
pub mod doc;
pub mod entry;
mod guard;
mod gzip;
mod json;
mod ndjson;
mod variables;

use std::{io::BufReader, sync::Arc};

use axum::body::Bytes;
use shared::message::{phone::Region, template::Template};
use tokio::{
    sync::mpsc::{self, Receiver},
    task::JoinHandle,
};

use crate::http::error::ApiError;
use crate::lists::{
    entry::{Chunk, Sink},
    guard::Guard,
};

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An array, or an object with the array as its member `recipients`.
    Json,
    /// A string or an object a line.
    Ndjson,
    /// One column, or a header with one that is called `phone`.
    Csv,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::Ndjson, Self::Csv];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }
}

/// A list, unread. Cloning it copies nothing.
#[derive(Clone, Debug)]
pub struct List {
    /// Its bytes.
    pub bytes: Bytes,
    /// How it is written; none: to be seen by its beginning.
    pub format: Option<Format>,
    /// Whether `bytes` is gzip.
    pub gzip: bool,
    /// How its entries are read.
    pub options: Options,
}

/// How the entries of a list are read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where numbers without a country code are dialled; none: they are no numbers.
    pub region: Option<Region>,
    /// Of CSV, the column with the numbers: its name in the header, or its place from 1.
    pub column: Option<String>,
    /// What may come with a number.
    pub variables: Wanted,
}

/// What may come with a number.
#[derive(Clone, Debug, Default)]
pub enum Wanted {
    /// Nothing: variables are unknown fields.
    #[default]
    No,
    /// Variables, which are kept, though no text needs them.
    Any,
    /// What this message needs; a number without it is an invalid entry. Of CSV, the columns that it names.
    For(Arc<Template>),
}

impl Wanted {
    /// By a message, which was found good when it was posted.
    pub fn by(message: &str) -> Result<Self, ApiError> {
        let template =
            Template::parse(message).map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok(template.map_or(Self::Any, |template| Self::For(Arc::new(template))))
    }
}

/// A list being read.
pub struct Reading {
    /// Its entries. Whoever stops receiving ends the reading.
    pub chunks: Receiver<Chunk>,
    /// How it ended.
    pub end: JoinHandle<Result<(), ApiError>>,
}

impl List {
    /// Begins to read. Has to be called within a tokio runtime.
    pub fn read(self) -> Reading {
        let (sender, chunks) = mpsc::channel(2);
        let end = tokio::task::spawn_blocking(move || {
            let sink = Sink::new(sender, self.options.clone());
            self.parse(sink)
        });
        Reading { chunks, end }
    }

    fn parse(self, mut sink: Sink) -> Result<(), ApiError> {
        let parsed = if self.gzip {
            self.parse_gzip(&mut sink)
        } else {
            self.parse_text(&mut sink)
        };
        sink.end(parsed)
    }

    fn parse_text(&self, sink: &mut Sink) -> Result<(), ApiError> {
        let text = &*self.bytes;
        match self
            .format
            .unwrap_or_else(|| crate::http::body::sniff(text))
        {
            Format::Json => json::parse_slice(text, sink),
            Format::Ndjson => ndjson::parse(text, sink),
            Format::Csv => csv::parse(
                Guard::new(text, sink.unused.clone()),
                self.options.column.as_deref(),
                sink,
            ),
        }
    }

    fn parse_gzip(&self, sink: &mut Sink) -> Result<(), ApiError> {
        let text = Guard::new(gzip::open(&self.bytes)?, sink.unused.clone());
        let mut text = BufReader::with_capacity(gzip::PEEK, text);
        match self.format.map_or_else(|| gzip::sniff(&mut text), Ok)? {
            Format::Json => json::parse_reader(text, sink),
            Format::Ndjson => ndjson::parse(text, sink),
            Format::Csv => csv::parse(text, self.options.column.as_deref(), sink),
        }
    }
}

#[cfg(test)]
mod tests;
