//! Query strings, read like [`crate::http::fields`]: every wrong parameter at once, unknown ones among them. And the cursors of
//! lists: where a page ended, opaque to clients.

use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};

use crate::http::error::{ApiError, FieldError};

/// The parameters of a request.
pub struct Query {
    left: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

/// How many entries a page has: at most, and where nothing is said.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// At most.
    pub most: u32,
    /// Where nothing is said.
    pub default: u32,
}

/// What [`Query::word`] takes.
pub const WORD: &str = "^[!-~]{1,64}$";

/// Of most lists.
pub const LIMIT: Limit = Limit {
    most: 200,
    default: 50,
};
/// Of lists of numbers.
pub const LONG_LIMIT: Limit = Limit {
    most: 1_000,
    default: 100,
};

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let left = pairs
            .map_err(|error| {
                ApiError::Malformed(format!("the query string can't be read: {error}"))
            })?
            .0;
        Ok(Self {
            left,
            known: Vec::new(),
            errors: Vec::new(),
        })
    }
}

impl Query {
    /// A parameter as it stands.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut found = None;
        while let Some(at) = self.left.iter().position(|(key, _)| key == name) {
            if found.replace(self.left.remove(at).1).is_some() {
                self.complain(name, "given-twice", "expected this parameter once");
            }
        }
        found
    }

    /// A whole number within `range`.
    pub fn number(&mut self, name: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let Some(given) = self.text(name) else {
            return default;
        };
        given
            .parse()
            .ok()
            .filter(|number| range.contains(number))
            .unwrap_or_else(|| {
                let expected = format!(
                    "expected a whole number from {} to {}",
                    range.start(),
                    range.end()
                );
                self.complain(name, "out-of-range", expected);
                default
            })
    }

    /// How many entries a page has.
    pub fn limit(&mut self, limit: Limit) -> u32 {
        self.number("limit", 1..=limit.most, limit.default)
    }

    /// `true` or `false`; not given: false.
    pub fn flag(&mut self, name: &'static str) -> bool {
        self.choice(name, &["true", "false"], |word| word) == Some("true")
    }

    /// A word, found among `all` by its name.
    pub fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        all: &[T],
        word: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let given = self.text(name)?;
        let found = all.iter().copied().find(|choice| word(*choice) == given);
        if found.is_none() {
            let words: Vec<_> = all.iter().map(|choice| word(*choice)).collect();
            self.complain(
                name,
                "not-a-choice",
                format!("expected one of: {}", words.join(", ")),
            );
        }
        found
    }

    /// A word of ASCII, as programs write them: no other can be compared with a column of such.
    pub fn word(&mut self, name: &'static str) -> Option<String> {
        let given = self.text(name)?;
        let good = !given.is_empty()
            && given.len() <= 64
            && given.bytes().all(|byte| byte.is_ascii_graphic());
        if !good {
            self.complain(
                name,
                "not-a-word",
                "expected 1 to 64 ASCII characters without blanks",
            );
        }
        good.then_some(given)
    }

    /// A time.
    pub fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let given = self.text(name)?;
        // A `+` that was not encoded has become a blank.
        let read = DateTime::parse_from_rfc3339(&given.replace(' ', "+")).ok();
        if read.is_none() {
            self.complain(
                name,
                "not-a-time",
                "expected a time with an offset from UTC (RFC 3339), such as 2030-01-31T09:00:00Z",
            );
        }
        read.map(|time| time.to_utc())
    }

    /// Where the page before ended.
    pub fn cursor<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let given = self.text("cursor")?;
        let read = read(&given);
        if read.is_none() {
            self.complain(
                "cursor",
                "not-a-cursor",
                "expected the next_cursor of an earlier page",
            );
        }
        read
    }

    /// Notes that something is wrong with a parameter.
    pub fn complain(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(name, code, detail));
    }

    /// The parameters that are wrong or unknown, if any.
    pub fn finish(mut self) -> Result<(), ApiError> {
        let expected = if self.known.is_empty() {
            "none".to_owned()
        } else {
            self.known.join(", ")
        };
        for (key, _) in &self.left {
            let name: String = key.chars().take(64).collect();
            self.errors.push(FieldError::new(
                name,
                "unknown-field",
                format!("unknown parameter; expected only: {expected}"),
            ));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(self.errors))
        }
    }
}
