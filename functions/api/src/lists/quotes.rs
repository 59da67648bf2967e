//! Finds the quote of a CSV that is not closed.
//!
//! A parser of CSV takes everything from an opening quote to the next quote as one field, so that one
//! stray quote swallows lines. It is found here: after a field of several lines, its closing quote must
//! end the field; and at the end of the list no field may be open.

use std::{
    fmt,
    io::{self, Read},
};

/// Passes the bytes on, and fails at a quote that is not closed. Lines end with LF.
pub struct Quotes<R> {
    inner: R,
    separator: u8,
    place: Place,
    line: u32,
}

/// Where in a record a reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first byte of a field.
    Begin,
    /// In a field without quotes, or after one: quotes have no meaning.
    Plain,
    /// In a field that opened at this line.
    Quoted(u32),
    /// After a quote in such a field: it closes the field, or it is the first of two.
    Closing(u32),
}

/// A quote is not closed.
#[derive(Debug)]
pub struct OpenQuote {
    /// The line where it opens, from 1.
    line: u32,
}

impl fmt::Display for OpenQuote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line;
        write!(
            f,
            "expected CSV: the quote that opens at line {line} is not closed; remove it, or write \"\" for a quote inside a field"
        )
    }
}

impl std::error::Error for OpenQuote {}

impl<R> Quotes<R> {
    pub const fn new(inner: R, separator: u8) -> Self {
        Self {
            inner,
            separator,
            place: Place::Begin,
            line: 1,
        }
    }

    /// Moves on by one byte; returns the place of a quote that is not closed.
    fn step(&mut self, byte: u8) -> Result<(), OpenQuote> {
        let ends_field = byte == self.separator || byte == b'\n';
        self.place = match self.place {
            Place::Begin if byte == b'"' => Place::Quoted(self.line),
            Place::Begin | Place::Plain | Place::Closing(_) if ends_field => Place::Begin,
            Place::Begin | Place::Plain => Place::Plain,
            Place::Quoted(line) if byte == b'"' => Place::Closing(line),
            Place::Closing(line) if byte == b'"' => Place::Quoted(line),
            // Within a line, what follows a closing quote belongs to the field, as spreadsheets read it.
            Place::Closing(line) if line == self.line => Place::Plain,
            Place::Closing(line) => return Err(OpenQuote { line }),
            quoted @ Place::Quoted(_) => quoted,
        };
        self.line += u32::from(byte == b'\n');
        Ok(())
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0
            && !buffer.is_empty()
            && let Place::Quoted(line) = self.place
        {
            return Err(io::Error::other(OpenQuote { line }));
        }
        for byte in &buffer[..count] {
            self.step(*byte).map_err(io::Error::other)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(), String> {
        let mut quotes = Quotes::new(text.as_bytes(), b',');
        let read = io::copy(&mut quotes, &mut io::sink());
        read.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_stray_quote_is_named_with_its_line() {
        for text in [
            // Nothing else is quoted.
            "phone,name\n+1,\"A\n+2,B\n+3,C\n".to_owned(),
            // Later fields are quoted.
            "phone,name\n+1,\"A\n+2,\"B, C\"\n+3,D\n".to_owned(),
            // A thousand lines follow.
            format!("phone,name\n+1,\"A\n{}", "+2,B\n".repeat(1000)),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains("opens at line 2 is"), "{text}: {error}");
        }
    }

    #[test]
    fn quotes_inside_and_around_fields_are_accepted() {
        for text in [
            "phone,size\n+1,12\" pipe\n+2,B\n",
            "phone,name\n+1,\"A \"\"x\"\", B\"\n",
            "phone,note\n+1,\"two\nlines\"\n+2,\"\"\n",
            "phone,name\n+1,\"A\"B\"C\n+2,D\n",
            "\"phone\"\n\"+1\"",
            "",
        ] {
            assert_eq!(read(text), Ok(()), "{text}");
        }
    }
}
