//! The entries of a list: numbers, and what is no number; collected into chunks.

use std::{
    cell::Cell,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use schemars::JsonSchema;
use serde::Serialize;
use shared::message::{
    phone::Phone,
    template::{MAX_VARIABLES, Variables},
};
use tokio::sync::mpsc::Sender;

use crate::http::error::{ApiError, FieldError};
use crate::lists::{Options, Wanted};

/// Entries a call may bring.
pub const MAX_ENTRIES: u32 = 1_000_000;
/// Entries a chunk; a statement writes one chunk.
const CHUNK: usize = 10_000;
/// Entries and fields of a chunk that are wrong: each takes much more memory than a number.
const WRONG: usize = 1_000;
/// Bytes of variables in a chunk.
const PERSONAL: usize = 1024 * 1024;
/// Characters of an invalid input that are kept and shown.
const SHOWN: usize = 64;

/// An entry that is no valid number.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "InvalidEntry")]
pub struct Refused {
    /// Index from 0 (JSON) or line from 1 (NDJSON, CSV).
    pub position: u32,
    /// What was given, at most 64 characters of it.
    pub input: String,
    /// Why, for programs.
    pub code: &'static str,
    /// What was expected, for people.
    pub detail: String,
}

/// One entry of a list.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A valid number.
    Valid(Phone),
    /// A valid number, and what came with it.
    Personal(Box<Personal>),
    /// Anything else.
    Invalid(Box<Refused>),
}

/// A number with variables, or one that a template makes a text for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personal {
    /// The number.
    pub phone: Phone,
    /// A JSON object; empty: nothing came with it.
    pub variables: String,
    /// Equal for equal texts, within a process; 0 without a template.
    pub text: u64,
    /// Parts of the text; 0 without a template.
    pub parts: u16,
}

/// Some entries, in the order of the list.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Fields that no entry has; they refuse the list whatever is said about invalid numbers.
    pub wrong: Vec<FieldError>,
}

/// Where a parser puts the entries.
pub struct Sink {
    sender: Sender<Chunk>,
    chunk: Chunk,
    /// Place of the entry that comes next.
    pub position: u32,
    count: u32,
    /// Of the chunk, what is wrong.
    wrong: usize,
    /// Of the chunk, bytes of variables.
    personal: usize,
    stopped: Option<ApiError>,
    options: Options,
    /// Bytes that were read since the last entry; see [`super::guard`].
    pub unused: Rc<Cell<usize>>,
}

/// The sink takes no more; [`Sink::end`] knows why.
#[derive(Debug)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl Sink {
    /// An empty one.
    pub fn new(sender: Sender<Chunk>, options: Options) -> Self {
        let (chunk, unused) = (Chunk::default(), Rc::default());
        Self {
            sender,
            chunk,
            position: 0,
            count: 0,
            wrong: 0,
            personal: 0,
            stopped: None,
            options,
            unused,
        }
    }

    /// What may come with a number.
    pub const fn wanted(&self) -> &Wanted {
        &self.options.variables
    }

    /// An entry's number and what came with it, at the current position.
    pub fn entry(&mut self, input: &str, variables: &Variables) -> Result<(), Stopped> {
        let phone = match Phone::parse_in(input, self.options.region.as_ref()) {
            Ok(phone) => phone,
            Err(error) => return self.refuse(input, error.code(), error.to_string()),
        };
        let (mut text, mut parts) = (0, 0);
        if let Wanted::For(template) = &self.options.variables {
            match template.render(variables) {
                Ok(made) => (text, parts) = (hash(&made.text), made.parts),
                Err(error) => return self.refuse(input, error.code(), error.to_string()),
            }
        } else if variables.is_empty() {
            return self.push(Entry::Valid(phone));
        }
        let variables = if variables.is_empty() {
            String::new()
        } else {
            serde_json::json!(variables).to_string()
        };
        if variables.len() > MAX_VARIABLES {
            let detail = format!("expected at most {MAX_VARIABLES} bytes of variables");
            return self.refuse(input, "variables-too-long", detail);
        }
        self.personal += variables.len();
        self.push(Entry::Personal(Box::new(Personal {
            phone,
            variables,
            text,
            parts,
        })))
    }

    /// An entry that is no number.
    pub fn refuse(
        &mut self,
        input: &str,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Result<(), Stopped> {
        let input = input.chars().take(SHOWN).collect();
        self.push(Entry::Invalid(Box::new(Refused {
            position: self.position,
            input,
            code,
            detail: detail.into(),
        })))
    }

    /// A field that entries don't have.
    pub fn unknown_field(&mut self, name: &str) -> Result<(), Stopped> {
        let name: String = name.chars().take(SHOWN).collect();
        let known = if matches!(self.wanted(), Wanted::No) {
            "phone"
        } else {
            "phone, vars"
        };
        let detail = format!("unknown field; expected only: {known}");
        let error = FieldError::new(format!("recipients.{name}"), "unknown-field", detail);
        self.wrong(FieldError {
            position: Some(self.position),
            ..error
        })
    }

    /// Something that refuses the list as a whole.
    pub fn wrong(&mut self, error: FieldError) -> Result<(), Stopped> {
        self.chunk.wrong.push(error);
        self.wrong += 1;
        self.flush_if_full()
    }

    fn push(&mut self, entry: Entry) -> Result<(), Stopped> {
        if self.count == MAX_ENTRIES {
            let detail = format!(
                "expected at most {MAX_ENTRIES} entries a call; append the rest by further calls"
            );
            self.stopped = Some(ApiError::TooLarge(detail));
            return Err(Stopped);
        }
        self.count += 1;
        self.unused.set(0);
        self.wrong += usize::from(matches!(entry, Entry::Invalid(_)));
        self.chunk.entries.push(entry);
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<(), Stopped> {
        let small =
            self.chunk.entries.len() < CHUNK && self.wrong < WRONG && self.personal < PERSONAL;
        if small { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        let chunk = std::mem::take(&mut self.chunk);
        (self.wrong, self.personal) = (0, 0);
        self.sender.blocking_send(chunk).map_err(|_| Stopped)
    }

    /// Hands over the last chunk, or says why there is none.
    pub fn end(mut self, parsed: Result<(), ApiError>) -> Result<(), ApiError> {
        if let Some(error) = self.stopped.take() {
            return Err(error);
        }
        parsed?;
        // If nobody listens any more, nobody misses it.
        let _ = self.flush();
        Ok(())
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
