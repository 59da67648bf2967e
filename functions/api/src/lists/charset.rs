//! The encoding of the text of a list: UTF-8, or one that the request names, or one that a byte order
//! mark shows.
//!
//! A gateway converts a text body to UTF-8 itself, and replaces what is none by U+FFFD. So another
//! encoding arrives intact only in a binary body, and U+FFFD in a text means that characters are lost:
//! the list is refused, because otherwise they would be missing in the messages.

use std::{
    fmt,
    io::{self, Read},
};

use axum::http::{HeaderMap, header};
use encoding_rs::{Encoding, UTF_8};
use encoding_rs_io::DecodeReaderBytesBuilder;

use crate::http::{body::REPLACEMENT, error::ApiError, query::Query};

/// Bytes of a byte order mark, at most.
const LONGEST_MARK: u64 = 3;
/// The expected form of an encoding, for error messages.
const EXPECTED: &str = "expected the name of an encoding, such as windows-1252 or utf-16le";

/// Returns the encoding that `?charset=` names, or else the parameter `charset` of the content type.
/// Fails if a text body names another one than UTF-8: the gateway has destroyed it.
pub fn read_charset(
    headers: &HeaderMap,
    query: &mut Query,
    is_text: bool,
) -> Result<Option<&'static Encoding>, ApiError> {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|given| given.to_str().ok());
    let by_content_type = content_type.and_then(parameter);
    let Some(given) = query.text("charset").or(by_content_type) else {
        return Ok(None);
    };
    let Some(charset) = Encoding::for_label(given.trim().as_bytes()) else {
        query.complain("charset", "not-an-encoding", EXPECTED);
        return Ok(None);
    };
    if is_text && charset != UTF_8 {
        let detail = format!(
            "expected UTF-8, to which gateways convert each text; to send {}, use the content type application/octet-stream \
             or application/gzip, with the same charset",
            charset.name()
        );
        return Err(ApiError::UnsupportedType(detail));
    }
    Ok(Some(charset))
}

/// Returns the parameter `charset` of a content type.
fn parameter(content_type: &str) -> Option<String> {
    let mut parameters = content_type.split(';').skip(1);
    let charset = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    });
    charset.map(|charset| charset.trim().trim_matches('"').to_owned())
}

/// Decodes a text. A byte order mark outweighs the given encoding; it remains in the text.
pub fn decode(mut text: impl Read, charset: Option<&'static Encoding>) -> io::Result<impl Read> {
    let mut mark = Vec::with_capacity(LONGEST_MARK as usize);
    text.by_ref().take(LONGEST_MARK).read_to_end(&mut mark)?;
    let by_mark = Encoding::for_bom(&mark).map(|(charset, _)| charset);
    let decoder = DecodeReaderBytesBuilder::new()
        .encoding(by_mark.or(charset))
        .utf8_passthru(true)
        .build(io::Cursor::new(mark).chain(text));
    Ok(Complete::new(decoder))
}

/// A reader that fails at U+FFFD.
struct Complete<R> {
    inner: R,
    line: u32,
    /// How many bytes of U+FFFD the bytes before end with.
    matched: usize,
}

/// A character is lost.
#[derive(Debug)]
pub struct Replaced {
    /// The line, from 1.
    line: u32,
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line;
        write!(
            f,
            "expected complete text: line {line} has the character U+FFFD, which replaces lost ones; name the encoding of the \
             file with charset, or save it as UTF-8"
        )
    }
}

impl std::error::Error for Replaced {}

impl<R> Complete<R> {
    const fn new(inner: R) -> Self {
        Self {
            inner,
            line: 1,
            matched: 0,
        }
    }
}

impl<R: Read> Read for Complete<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for byte in &buffer[..count] {
            self.line += u32::from(*byte == b'\n');
            self.matched = match *byte {
                byte if byte == REPLACEMENT[self.matched] => self.matched + 1,
                byte => usize::from(byte == REPLACEMENT[0]),
            };
            if self.matched == REPLACEMENT.len() {
                return Err(io::Error::other(Replaced { line: self.line }));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &[u8], charset: Option<&str>) -> io::Result<String> {
        let charset = charset.map(|name| Encoding::for_label(name.as_bytes()).unwrap());
        let mut decoded = String::new();
        decode(text, charset)?.read_to_string(&mut decoded)?;
        Ok(decoded.trim_start_matches('\u{FEFF}').to_owned())
    }

    #[test]
    fn texts_are_decoded_by_name_or_by_byte_order_mark() {
        let table: [(&[u8], Option<&str>, &str); 6] = [
            (b"Jos\xE9 \x80", Some("windows-1252"), "José €"),
            (b"Jos\xE9", Some("iso-8859-1"), "José"),
            ("José".as_bytes(), None, "José"),
            (b"\xEF\xBB\xBFJos\xC3\xA9", Some("windows-1252"), "José"),
            (b"\xFF\xFEJ\0\xE9\0", None, "Jé"),
            (b"\0J\0\xE9", Some("utf-16be"), "Jé"),
        ];
        for (text, charset, expected) in table {
            assert_eq!(decoded(text, charset).unwrap(), expected, "{charset:?}");
        }
    }

    #[test]
    fn a_lost_character_is_refused_with_its_line() {
        for text in ["a\nJos\u{FFFD}\n", "a\n\u{FFFD}", "a\n\u{FFFC}\u{FFFD}"] {
            let error = decoded(text.as_bytes(), None).unwrap_err().to_string();
            assert!(error.contains("line 2 has the character U+FFFD"), "{error}");
        }
        // Half a pair of surrogates.
        let error = decoded(b"\xFF\xFEa\0\n\0\x3D\xD8a\0", None).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert_eq!(
            decoded("\u{FFFC}\u{FFFE}ï¿".as_bytes(), None).unwrap(),
            "\u{FFFC}\u{FFFE}ï¿"
        );
    }

    #[test]
    fn the_parameter_of_a_content_type_is_found() {
        for (given, expected) in [
            ("text/csv", None),
            ("text/csv; charset=UTF-8", Some("UTF-8")),
            (
                "application/gzip; a=b ;Charset=\"windows-1252\"",
                Some("windows-1252"),
            ),
        ] {
            assert_eq!(parameter(given).as_deref(), expected, "{given}");
        }
    }
}
