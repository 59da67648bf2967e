//! The carrier's ledger: `GET /ledger` next to its `/api`, NDJSON, one acceptance per line. Only
//! this project's simulator certainly has one, and another program's ledger may differ in details,
//! so it is parsed leniently.

use std::collections::HashMap;

use anyhow::{Context, bail};
use chrono::DateTime;
use futures_util::StreamExt;
use serde::Deserialize;

use crate::evidence::{Entry, MessageId, Phone, Text, phone};

/// A client of the ledger.
#[derive(Clone)]
pub struct Ledger {
    client: reqwest::Client,
    url: String,
}

/// The result of reading the ledger.
#[derive(Debug)]
pub enum Reading {
    /// The acceptances of the requested numbers.
    Entries(Vec<Entry>),
    /// There is no ledger; the value is the reason.
    None(String),
}

/// A line of the ledger. Variants that another program may write are accepted too: numbers without
/// quotes, and a time in seconds or milliseconds since 1970.
#[derive(Deserialize)]
struct Line {
    dnis: StringOrNumber,
    #[serde(alias = "message")]
    text: Option<String>,
    message_id: StringOrNumber,
    time: Option<StringOrNumber>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum StringOrNumber {
    Text(String),
    Number(serde_json::Number),
}

impl StringOrNumber {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

/// An offset that is larger than any ledger.
const BEYOND_THE_END: u64 = 1 << 52;

impl Ledger {
    /// Creates a client of the ledger at an origin.
    pub fn new(client: reqwest::Client, origin: &str) -> Self {
        Self {
            client,
            url: format!("{origin}/ledger"),
        }
    }

    /// Returns how many acceptances the ledger holds now. Returns 0 if this is unknown or there is
    /// no ledger; later the whole ledger is read then.
    pub async fn length(&self) -> u64 {
        let answer = self
            .client
            .get(&self.url)
            .query(&[("from", BEYOND_THE_END)])
            .send()
            .await;
        let length = answer.ok().and_then(|answer| {
            answer
                .headers()
                .get("x-ledger-length")?
                .to_str()
                .ok()?
                .parse()
                .ok()
        });
        length.unwrap_or_default()
    }

    /// Reads the acceptances for `phones` from acceptance `from` on. A carrier that ignores `from`
    /// returns more, which is harmless.
    pub async fn read<T>(
        &self,
        from: u64,
        phones: &HashMap<Phone, T>,
        message: &str,
    ) -> anyhow::Result<Reading> {
        let answer = match self
            .client
            .get(&self.url)
            .query(&[("from", from)])
            .send()
            .await
        {
            Ok(answer) if answer.status().is_success() => answer,
            Ok(answer) => {
                return Ok(Reading::None(format!(
                    "GET {} returned {}",
                    self.url,
                    answer.status()
                )));
            }
            Err(error) => return Ok(Reading::None(format!("GET {} failed: {error}", self.url))),
        };
        let mut reader = Reader {
            message,
            phones,
            entries: Vec::new(),
            lines: 0,
            rest: Vec::new(),
        };
        let mut body = answer.bytes_stream();
        while let Some(chunk) = body.next().await {
            if let Err(error) = reader.take(&chunk.context("reading the ledger")?) {
                return reader.not_a_ledger(error, &self.url);
            }
        }
        match reader.take(b"\n") {
            Ok(()) => Ok(Reading::Entries(reader.entries)),
            Err(error) => reader.not_a_ledger(error, &self.url),
        }
    }
}

struct Reader<'a, T> {
    message: &'a str,
    phones: &'a HashMap<Phone, T>,
    entries: Vec<Entry>,
    lines: u64,
    rest: Vec<u8>,
}

impl<T> Reader<'_, T> {
    fn take(&mut self, chunk: &[u8]) -> anyhow::Result<()> {
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(chunk);
        let mut lines = rest.split(|&byte| byte == b'\n');
        self.rest = lines.next_back().unwrap_or_default().to_vec();
        for line in lines
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
        {
            self.line(line)
                .with_context(|| format!("line {}", self.lines + 1))?;
            self.lines += 1;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let line: Line = serde_json::from_slice(line)?;
        let phone = phone(&line.dnis.text()).context("dnis is not a number")?;
        if self.phones.contains_key(&phone) {
            let text = compare(line.text.as_deref(), self.message);
            let at_ms = line.time.and_then(milliseconds);
            self.entries.push(Entry {
                phone,
                id: MessageId::new(&line.message_id.text()),
                at_ms,
                text,
            });
        }
        Ok(())
    }

    /// Returns "no ledger" if the first line can't be parsed: then the body is another page. If a
    /// later line can't be parsed, returns an error.
    fn not_a_ledger(&self, error: anyhow::Error, url: &str) -> anyhow::Result<Reading> {
        if self.lines > 0 {
            bail!(error.context("reading the ledger"));
        }
        Ok(Reading::None(format!(
            "GET {url} did not return a ledger ({error:#})"
        )))
    }
}

fn compare(text: Option<&str>, message: &str) -> Text {
    match text {
        None | Some("") => Text::Unknown,
        Some(text) if message.contains(text) || is_rendered(text, message) => {
            Text::Ours(text.chars().count() as u32)
        }
        Some(_) => Text::Other,
    }
}

/// Returns whether a text can come from a template: it has the same words around the values.
fn is_rendered(text: &str, template: &str) -> bool {
    let mut pieces = template.split("{{");
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    for piece in pieces {
        let after = piece.split_once("}}").map_or(piece, |(_, after)| after);
        // The last piece ends the text.
        match rest.find(after) {
            Some(at) => rest = &rest[at + after.len()..],
            None => return false,
        }
    }
    rest.is_empty() || template.ends_with("}}")
}

/// Returns the latest moment that a time can mean: a time in whole seconds may be almost a second
/// later.
fn milliseconds(time: StringOrNumber) -> Option<i64> {
    match time {
        StringOrNumber::Text(text) => {
            let at_ms = DateTime::parse_from_rfc3339(&text).ok()?.timestamp_millis();
            Some(if text.contains('.') {
                at_ms
            } else {
                at_ms + 999
            })
        }
        StringOrNumber::Number(number) => {
            let seconds = number.as_f64()?;
            let in_milliseconds = seconds > 1e11;
            Some(match (in_milliseconds, number.is_f64()) {
                (true, _) => seconds as i64,
                (false, true) => (seconds * 1000.0).ceil() as i64,
                (false, false) => seconds as i64 * 1000 + 999,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&str]) -> anyhow::Result<Vec<Entry>> {
        let phones = HashMap::from([(60111, 0), (60112, 1)]);
        let mut reader = Reader {
            message: "Hello you",
            phones: &phones,
            entries: Vec::new(),
            lines: 0,
            rest: Vec::new(),
        };
        chunks
            .iter()
            .chain(&["\n"])
            .try_for_each(|chunk| reader.take(chunk.as_bytes()))?;
        Ok(reader.entries)
    }

    #[test]
    fn chunks_are_joined_to_lines_and_other_numbers_are_skipped() {
        let entries = read(&[
            r#"{"dnis":"+60111","text":"Hello","message_id":"a","ti"#,
            "me\":\"2026-01-01T00:00:00.123Z\"}\r\n\n{\"dnis\":60112,\"message_id\":7}\n{\"dnis\":\"60113\",",
            r#""message_id":"c","text":"x","segment_num":2}"#,
        ]);
        let entries = entries.unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (entries[0].phone, entries[0].text, entries[0].id),
            (60111, Text::Ours(5), MessageId::new("a"))
        );
        assert_eq!(entries[0].at_ms, Some(1_767_225_600_123));
        assert_eq!(
            (entries[1].phone, entries[1].text, entries[1].id),
            (60112, Text::Unknown, MessageId::new("7"))
        );
        assert_eq!(entries[1].at_ms, None);
    }

    #[test]
    fn a_body_that_is_not_a_ledger_is_an_error() {
        for body in [
            "<html>",
            "[]",
            "{\"status\":\"UNKNOWN\"}",
            "{\"dnis\":\"x\",\"message_id\":\"a\"}",
            "404 not found",
        ] {
            assert!(read(&[body]).is_err(), "{body}");
        }
    }

    #[test]
    fn texts_are_compared_with_the_schedules() {
        let table = [
            ("Hello you", Text::Ours(9)),
            (" you", Text::Ours(4)),
            ("hello", Text::Other),
            ("", Text::Unknown),
        ];
        for (text, expected) in table {
            assert_eq!(compare(Some(text), "Hello you"), expected, "{text}");
        }
    }

    #[test]
    fn a_personal_text_has_the_words_of_its_template() {
        let is_ours = |text, template| matches!(compare(Some(text), template), Text::Ours(_));
        assert!(is_ours("Hi Ana, 5 new.", "Hi {{name}}, {{ n }} new."));
        assert!(is_ours("Hi Ana", "Hi {{name}}"));
        for other in ["Hi Ana, 5 new. And more", "Hello Ana, 5 new.", "Hi Ana"] {
            assert!(!is_ours(other, "Hi {{name}}, {{ n }} new."), "{other}");
        }
    }

    #[test]
    fn a_time_is_read_as_the_latest_possible_moment() {
        let table = [
            (r#""2026-01-01T00:00:00.123Z""#, Some(1_767_225_600_123)),
            (r#""2026-01-01T08:00:00+08:00""#, Some(1_767_225_600_999)),
            ("1767225600", Some(1_767_225_600_999)),
            ("1767225600.5", Some(1_767_225_600_500)),
            ("1767225600123", Some(1_767_225_600_123)),
            (r#""yesterday""#, None),
        ];
        for (time, expected) in table {
            assert_eq!(
                milliseconds(serde_json::from_str(time).unwrap()),
                expected,
                "{time}"
            );
        }
    }
}
