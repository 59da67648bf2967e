//! The entries of a list, valid and invalid ones, collected into chunks.

use std::{
    cell::Cell,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use schemars::JsonSchema;
use serde::Serialize;
use shared::message::{
    phone::Phone,
    template::{MAX_VARIABLES, RenderedText, Variables},
};
use tokio::sync::mpsc::Sender;

use crate::{
    http::error::{ApiError, FieldError},
    lists::{
        names::EntryNames,
        number::{RefusedNumber, read_number},
        options::{AcceptedVariables, Options},
        place::Place,
        variables::WrongVariables,
    },
};

/// Entries per call, at most.
pub const MAX_ENTRIES: u32 = 1_000_000;
/// Entries per chunk; one statement writes one chunk.
const CHUNK: usize = 10_000;
/// Errors per chunk: each takes much more memory than a phone number.
const CHUNK_ERRORS: usize = 1_000;
/// Bytes of variables, references and groups per chunk.
const CHUNK_DETAILS: usize = 1024 * 1024;
/// Characters of an invalid input that are kept and reported.
const SHOWN: usize = 64;

/// An invalid entry.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "InvalidEntry")]
pub struct RejectedEntry {
    /// Index from 0 (JSON), line from 1 (NDJSON, CSV) or row from 1 (spreadsheets).
    pub position: u32,
    /// In a spreadsheet, the sheet and the cell, such as `Guests!B4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    /// The input, at most 64 characters of it.
    pub input: String,
    /// What was expected, as a stable code for programs.
    pub code: &'static str,
    /// What was expected, as text.
    pub detail: String,
    /// The number that was probably meant, such as one whose plus sign is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// One entry of a list.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A valid phone number.
    Valid(Phone),
    /// A valid phone number with variables or with a text of its own.
    Personal(Box<Personal>),
    /// Any other entry.
    Invalid(Box<RejectedEntry>),
}

/// A phone number with variables, or one for which a template renders a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personal {
    /// The phone number.
    pub phone: Phone,
    /// The variables as a JSON object; empty if there are none.
    pub variables: String,
    /// A hash of the text, which is comparable within this process; 0 without a template.
    pub text_hash: u64,
    /// The number of parts of the text; 0 without a template.
    pub parts: u16,
    /// Its length in septets or UTF-16 code units; 0 without a template.
    pub units: u16,
    /// The first character of the text that GSM 03.38 lacks.
    pub forced_by: Option<char>,
    /// What the client's system calls it, and its group.
    pub names: EntryNames,
}

impl Personal {
    /// Returns a number without variables and without a text of its own.
    pub const fn plain(phone: Phone) -> Self {
        Self {
            phone,
            variables: String::new(),
            text_hash: 0,
            parts: 0,
            units: 0,
            forced_by: None,
            names: EntryNames::NONE,
        }
    }

    /// Returns a number with the text that its template renders.
    pub fn rendered(phone: Phone, variables: String, rendered: &RenderedText) -> Self {
        Self {
            phone,
            variables,
            text_hash: hash(&rendered.text),
            parts: rendered.parts,
            units: rendered.units,
            forced_by: rendered.forced_by,
            names: EntryNames::default(),
        }
    }
}

/// What an entry has besides its phone number.
#[derive(Debug, Default)]
pub struct Details {
    /// The variables of its text.
    pub variables: Variables,
    /// What the client's system calls it, and its group.
    pub names: EntryNames,
}

/// Consecutive entries of a list.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The position of each entry: its index from 0 (JSON), or its line or row from 1.
    pub positions: Vec<u32>,
    /// Errors that reject the whole list, such as unknown fields, however invalid entries are
    /// treated.
    pub errors: Vec<FieldError>,
}

/// Collects the entries that a parser finds.
pub struct Sink {
    sender: Sender<Chunk>,
    chunk: Chunk,
    /// The position of the next entry.
    pub position: u32,
    count: u32,
    /// Those of all lists of the call.
    entries: Arc<AtomicU32>,
    /// Errors in the current chunk.
    errors: usize,
    /// Bytes of variables, references and groups in the current chunk.
    detail_bytes: usize,
    stopped: Option<ApiError>,
    options: Options,
    /// Bytes that were read since the last entry (see [`super::guard`]).
    pub unused: Rc<Cell<usize>>,
    /// In a spreadsheet, the place of the next entry.
    pub place: Option<Place>,
}

/// The sink accepts no more entries; [`Sink::end`] returns the reason.
#[derive(Debug)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl Sink {
    /// Returns an empty sink.
    pub fn new(sender: Sender<Chunk>, options: Options, entries: Arc<AtomicU32>) -> Self {
        let (chunk, unused) = (Chunk::default(), Rc::default());
        Self {
            sender,
            chunk,
            position: 0,
            count: 0,
            entries,
            errors: 0,
            detail_bytes: 0,
            stopped: None,
            options,
            unused,
            place: None,
        }
    }

    /// Returns which variables an entry may have.
    pub const fn accepted(&self) -> &AcceptedVariables {
        &self.options.variables
    }

    /// Returns how the list is read.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Sets the column of the next entry, in a spreadsheet.
    pub const fn set_column(&mut self, column: usize) {
        if let Some(place) = &mut self.place {
            place.column = column;
        }
    }

    /// Adds an entry at the current position.
    pub fn entry(&mut self, input: &str, details: Details) -> Result<(), Stopped> {
        let (given, names) = (&details.variables, details.names);
        let phone = match read_number(input, &self.options) {
            Ok(phone) => phone,
            Err(refused) => return self.refuse_number(input, refused),
        };
        if self.options.needs_reference && names.reference.is_none() {
            let expected = "expected a reference, because the schedule is `unique_by: reference`";
            return self.refuse(input, "missing-reference", expected);
        }
        // Before they are rendered: a text may contain each of them hundreds of times.
        let is_template = matches!(self.options.variables, AcceptedVariables::Of(_));
        if !is_template && given.is_empty() && names.is_empty() {
            return self.push(Entry::Valid(phone));
        }
        let variables = if given.is_empty() {
            String::new()
        } else {
            serde_json::json!(given).to_string()
        };
        if variables.len() > MAX_VARIABLES {
            let error = WrongVariables::TooLong;
            return self.refuse(input, error.code(), error.to_string());
        }
        if given
            .values()
            .any(|value| value.contains(char::REPLACEMENT_CHARACTER))
        {
            let expected =
                "expected complete texts: U+FFFD replaces characters that were lost before";
            return self.refuse(input, "replacement-character", expected);
        }
        let mut personal = match &self.options.variables {
            AcceptedVariables::Of(template) => match template.render(given) {
                Ok(rendered) => Personal::rendered(phone, variables, &rendered),
                Err(error) => return self.refuse(input, error.code(), error.to_string()),
            },
            _ => Personal {
                variables,
                ..Personal::plain(phone)
            },
        };
        personal.names = names;
        self.detail_bytes += personal.variables.len() + personal.names.len();
        self.push(Entry::Personal(Box::new(personal)))
    }

    /// Adds an invalid entry.
    pub fn refuse(
        &mut self,
        input: &str,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Result<(), Stopped> {
        let refused = RefusedNumber {
            code,
            detail: detail.into(),
            suggestion: None,
        };
        self.refuse_number(input, refused)
    }

    /// Adds an invalid entry, with a suggestion.
    fn refuse_number(&mut self, input: &str, refused: RefusedNumber) -> Result<(), Stopped> {
        self.push(Entry::Invalid(Box::new(RejectedEntry {
            position: self.position,
            cell: self.place.as_ref().map(|place| place.cell(self.position)),
            input: input.chars().take(SHOWN).collect(),
            code: refused.code,
            detail: refused.detail,
            suggestion: refused.suggestion.map(|phone| phone.to_string()),
        })))
    }

    /// Reports a field that entries do not have.
    pub fn unknown_field(&mut self, name: &str) -> Result<(), Stopped> {
        let name: String = name.chars().take(SHOWN).collect();
        let known = if matches!(self.accepted(), AcceptedVariables::None) {
            "phone"
        } else {
            "phone, vars, reference, group"
        };
        let detail = format!("unknown field; expected only: {known}");
        let error = FieldError::new(format!("recipients.{name}"), "unknown-field", detail);
        self.reject(FieldError {
            position: Some(self.position),
            ..error
        })
    }

    /// Reports an error that rejects the whole list.
    pub fn reject(&mut self, error: FieldError) -> Result<(), Stopped> {
        self.chunk.errors.push(error);
        self.errors += 1;
        self.flush_if_full()
    }

    fn push(&mut self, entry: Entry) -> Result<(), Stopped> {
        if self.count == MAX_ENTRIES {
            let detail = format!(
                "expected at most {MAX_ENTRIES} entries per call; append the rest in further calls"
            );
            self.stopped = Some(ApiError::TooLarge(detail));
            return Err(Stopped);
        }
        self.count += 1;
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.unused.set(0);
        self.errors += usize::from(matches!(entry, Entry::Invalid(_)));
        self.chunk.entries.push(entry);
        self.chunk.positions.push(self.position);
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<(), Stopped> {
        let has_room = self.chunk.entries.len() < CHUNK
            && self.errors < CHUNK_ERRORS
            && self.detail_bytes < CHUNK_DETAILS;
        if has_room { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        let chunk = std::mem::take(&mut self.chunk);
        (self.errors, self.detail_bytes) = (0, 0);
        self.sender.blocking_send(chunk).map_err(|_| Stopped)
    }

    /// Sends the last chunk, or returns the error that ended the list.
    pub fn end(mut self, parsed: Result<(), ApiError>) -> Result<(), ApiError> {
        if let Some(error) = self.stopped.take() {
            return Err(error);
        }
        parsed?;
        // A closed channel is no error: the receiver needs no more entries.
        let _ = self.flush();
        Ok(())
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
