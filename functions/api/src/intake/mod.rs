//! Lists of recipients, as they come in: JSON, NDJSON, CSV, also in gzip. A list is read on a thread of its own, from the body
//! as it lies in memory, and passed on in chunks of a few thousand through a short channel. So a list of any size takes the
//! memory of its body and a few chunks, and reading goes on while the database writes.

pub mod body;
mod csv;
pub mod entry;
mod guard;
mod gzip;
mod json;
mod ndjson;
mod variables;

use std::{io::BufReader, sync::Arc};

use axum::body::Bytes;
use shared::{phone::Region, template::Template};
use tokio::{
    sync::mpsc::{self, Receiver},
    task::JoinHandle,
};

use self::{
    entry::{Chunk, Sink},
    guard::Guard,
};
use crate::error::ApiError;

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
        let template = Template::parse(message).map_err(|error| ApiError::Internal(error.to_string()))?;
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
        let parsed = if self.gzip { self.parse_gzip(&mut sink) } else { self.parse_text(&mut sink) };
        sink.end(parsed)
    }

    fn parse_text(&self, sink: &mut Sink) -> Result<(), ApiError> {
        let text = &*self.bytes;
        match self.format.unwrap_or_else(|| body::sniff(text)) {
            Format::Json => json::parse_slice(text, sink),
            Format::Ndjson => ndjson::parse(text, sink),
            Format::Csv => csv::parse(Guard::new(text, sink.unused.clone()), self.options.column.as_deref(), sink),
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
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::{entry::Entry, *};

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// What is in a list: numbers as they are, else position, input and code.
    async fn entries(list: List) -> Vec<String> {
        let mut reading = list.read();
        let mut found = Vec::new();
        while let Some(chunk) = reading.chunks.recv().await {
            assert!(chunk.wrong.is_empty());
            found.extend(chunk.entries.iter().map(|entry| match entry {
                Entry::Valid(phone) => phone.to_string(),
                Entry::Personal(personal) => format!("{} {} {}", personal.phone, personal.parts, personal.variables),
                Entry::Invalid(refused) => format!("{} {} {}", refused.position, refused.input, refused.code),
            }));
        }
        reading.end.await.unwrap().unwrap();
        found
    }

    #[tokio::test]
    async fn a_list_is_the_same_in_every_format() {
        const A: &str = "+12012345678";
        const B: &str = "+60123456789";
        #[rustfmt::skip]
        let table: Vec<(Format, Vec<u8>, Vec<&str>)> = vec![
            (Format::Json, br#" ["+12012345678", {"phone": "+60 12-345 6789"}] "#.to_vec(), vec![A, B]),
            (Format::Json, br#"{"recipients": ["+12012345678", "x\u0041", 5]}"#.to_vec(), vec![A, "1 xA not-a-number", "2 5 wrong-type"]),
            (Format::Json, b"[]".to_vec(), vec![]),
            (Format::Ndjson, b"\xEF\xBB\xBF\"+12012345678\"\r\n\r\n{\"phone\":\"+60123456789\"}".to_vec(), vec![A, B]),
            (Format::Ndjson, b"{\"phone\":\"+12012345678\"}\nnull\n\"+60123456789\"\n".to_vec(), vec![A, "2 null wrong-type", B]),
            (Format::Csv, b"+12012345678\r\n+60123456789\r\nx\r\n\r\ny".to_vec(), vec![A, B, "3 x not-a-number", "5 y not-a-number"]),
            (Format::Csv, b"+12012345678\rx\r".to_vec(), vec![A, "2 x not-a-number"]),
            (Format::Csv, b"+12012345678\n\n \n+60123456789".to_vec(), vec![A, "3   not-a-number", B]),
            (Format::Csv, b"\xEF\xBB\xBFPhone\r\n+12012345678\r\n".to_vec(), vec![A]),
            (Format::Csv, b"name, phone ,note\n\"Doe, \"\"J\"\"\",+12012345678,\"two\nlines\"\nRoe,x\nPoe\n".to_vec(),
                vec![A, "4 x not-a-number", "5  missing"]),
            (Format::Csv, b"\"phone\"\n\"+12012345678\"\n".to_vec(), vec![A]),
            (Format::Csv, b"phone\n\xFF\n".to_vec(), vec!["2  not-utf-8"]),
            (Format::Csv, b"number\n+12012345678".to_vec(), vec!["1 number not-a-number", A]),
        ];
        for (format, text, expected) in table {
            let (what, zipped) = (String::from_utf8_lossy(&text).into_owned(), gzip(&text));
            let list = List { bytes: text.into(), format: Some(format), gzip: false, options: Options::default() };
            assert_eq!(entries(list).await, expected, "{what}");
            for format in [Some(format), None] {
                let list = List { bytes: zipped.clone().into(), format, gzip: true, options: Options::default() };
                assert_eq!(entries(list).await, expected, "gzip {format:?} {what}");
            }
        }
    }

    #[tokio::test]
    async fn a_column_is_chosen_and_numbers_may_be_national() {
        const A: &str = "+60123456789";
        let table: Vec<(Option<&str>, &str, Vec<&str>)> = vec![
            (Some("mobile"), "name;phone,Mobile\nx,012-345 6789\n", vec![A]),
            (Some("2"), "name,mobile\nx,012-345 6789\ny,abc\n", vec![A, "3 abc not-a-number"]),
            (Some("2"), "x,0123456789\n", vec![A]),
            (Some("1"), "0123456789,x\n\n0060123456789,y", vec![A, A]),
            (Some("3"), "a,b\nc,d\n", vec!["1  missing", "2  missing"]),
            (None, "phone\n0123456789", vec![A]),
            (None, "0123456789", vec![A]),
        ];
        for (column, text, expected) in table {
            let options = Options { region: Region::parse("MY"), column: column.map(str::to_owned), ..Options::default() };
            let list = List { bytes: text.into(), format: Some(Format::Csv), gzip: false, options };
            assert_eq!(entries(list).await, expected, "{column:?} {text}");
        }
        let options = Options { column: Some("mobile".to_owned()), ..Options::default() };
        let list = List { bytes: "name,phone\n".into(), format: Some(Format::Csv), gzip: false, options };
        let error = list.read().end.await.unwrap().unwrap_err();
        assert!(format!("{error:?}").contains("found: name, phone"), "{error:?}");
    }

    #[tokio::test]
    async fn variables_come_with_numbers_in_every_format() {
        let template = |message: &str| Wanted::by(message).unwrap();
        let greeting = "Hi {{name}}: {{amount|default('-')}}";
        #[rustfmt::skip]
        let table: Vec<(Format, Wanted, &str, Vec<&str>)> = vec![
            (Format::Json, template(greeting),
                r#"[{"vars": {"Name": "A\u0041", "amount": 1.10, "other": null}, "phone": "+12012345678"}, "+12012345679"]"#,
                vec![r#"+12012345678 1 {"amount":"1.10","name":"AA"}"#, "1 +12012345679 missing-variable"]),
            (Format::Ndjson, template(greeting), "{\"phone\":\"+12012345678\",\"vars\":{\"name\":[]}}\n{\"phone\":\"+12012345678\",\"vars\":5}",
                vec!["1 +12012345678 wrong-variables", "2 +12012345678 wrong-variables"]),
            (Format::Json, template("{{name|default('you')}}"), r#"["+12012345678", {"phone": "+12012345679", "vars": null}]"#,
                vec!["+12012345678 1 ", "+12012345679 1 "]),
            (Format::Json, Wanted::Any, r#"["+12012345678", {"phone": "+12012345679", "vars": {"a": "b"}}]"#,
                vec!["+12012345678", r#"+12012345679 0 {"a":"b"}"#]),
            (Format::Csv, template("{{first_name}} {{amount|default('0')}}"),
                "First Name,mobile,phone,Amount\nAna,x,+12012345678, 5 \n,x,+12012345679,6\nBo,x,+12012345670,\n",
                vec![r#"+12012345678 1 {"amount":"5","first_name":"Ana"}"#, "3 +12012345679 missing-variable",
                    r#"+12012345670 1 {"first_name":"Bo"}"#]),
            (Format::Csv, Wanted::Any, "name,phone\nAna,+12012345678", vec!["+12012345678"]),
        ];
        for (format, variables, text, expected) in table {
            let options = Options { variables, ..Options::default() };
            let list = List { bytes: text.to_owned().into(), format: Some(format), gzip: false, options: options.clone() };
            assert_eq!(entries(list).await, expected, "{text}");
            let list = List { bytes: gzip(text.as_bytes()).into(), format: Some(format), gzip: true, options };
            assert_eq!(entries(list).await, expected, "gzip {text}");
        }
        let long = format!(r#"[{{"phone": "+12012345678", "vars": {{"a": "{}"}}}}]"#, "x".repeat(4_096));
        let options = Options { variables: Wanted::Any, ..Options::default() };
        let list = List { bytes: long.into(), format: Some(Format::Json), gzip: false, options };
        assert_eq!(entries(list).await, ["0 +12012345678 variables-too-long"]);
    }

    #[tokio::test]
    async fn a_long_list_comes_in_chunks_and_in_order() {
        let numbers: Vec<_> = (0..20_001).map(|n| format!("+1201{}", 2_000_000 + n)).collect();
        let zipped = [gzip(numbers[..9_000].join("\n").as_bytes()), gzip(b"\n"), gzip(numbers[9_000..].join("\n").as_bytes())];
        let list = List { bytes: zipped.concat().into(), format: None, gzip: true, options: Options::default() };
        assert!(entries(list).await == numbers);
    }

    #[tokio::test]
    async fn reading_ends_when_nobody_listens() {
        let bytes = "+12012345678\n".repeat(100_000).into();
        let mut reading = List { bytes, format: Some(Format::Csv), gzip: false, options: Options::default() }.read();
        reading.chunks.recv().await.unwrap();
        drop(reading.chunks);
        assert!(reading.end.await.unwrap().is_err());
    }
}
