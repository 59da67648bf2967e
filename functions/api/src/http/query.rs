//! Reads query strings like [`crate::http::fields`]: all wrong and unknown parameters are reported
//! at once. Also the cursors of lists: where a page ended, opaque to clients.

use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};

use crate::http::error::{ApiError, FieldError};

/// The parameters of a request.
pub struct Query {
    unread: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

/// How many entries a page has.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The maximum.
    pub most: u32,
    /// Without a parameter.
    pub default: u32,
}

/// The pattern of the values that [`Query::token`] accepts.
pub const TOKEN: &str = "^[!-~]{1,64}$";

/// The limit of most lists.
pub const LIMIT: Limit = Limit {
    most: 200,
    default: 50,
};
/// The limit of lists of phone numbers.
pub const LONG_LIMIT: Limit = Limit {
    most: 1_000,
    default: 100,
};

/// The limit of the same lists as a report, in CSV or NDJSON.
pub const REPORT_LIMIT: Limit = Limit {
    most: 100_000,
    default: 100_000,
};

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let unread = pairs
            .map_err(|error| {
                ApiError::Malformed(format!("the query string is not valid: {error}"))
            })?
            .0;
        Ok(Self {
            unread,
            known: Vec::new(),
            errors: Vec::new(),
        })
    }
}

impl Query {
    /// Reads a parameter as it is.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut found = None;
        while let Some(at) = self.unread.iter().position(|(key, _)| key == name) {
            if found.replace(self.unread.remove(at).1).is_some() {
                self.complain(name, "given-twice", "expected this parameter once");
            }
        }
        found
    }

    /// Reads a whole number within `range`, if one is given.
    pub fn optional_number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let given = self.text(name)?;
        let number = given.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (first, last) = (range.start(), range.end());
            let expected = format!("expected a whole number from {first} to {last}");
            self.complain(name, "out-of-range", expected);
        }
        number
    }

    /// Reads a whole number within `range`.
    pub fn number(&mut self, name: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
        self.optional_number(name, range).unwrap_or(default)
    }

    /// Reads `limit`: how many entries a page has.
    pub fn limit(&mut self, limit: Limit) -> u32 {
        self.number("limit", 1..=limit.most, limit.default)
    }

    /// Reads `true` or `false`; false if not given.
    pub fn flag(&mut self, name: &'static str) -> bool {
        self.choice(name, &["true", "false"], |name| name) == Some("true")
    }

    /// Reads one of `all` by its name.
    pub fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        all: &[T],
        name_of: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let given = self.text(name)?;
        let found = all.iter().copied().find(|choice| name_of(*choice) == given);
        if found.is_none() {
            let names: Vec<_> = all.iter().map(|choice| name_of(*choice)).collect();
            self.complain(
                name,
                "not-a-choice",
                format!("expected one of: {}", names.join(", ")),
            );
        }
        found
    }

    /// Reads a token of ASCII: other values cannot be compared with an ASCII column.
    pub fn token(&mut self, name: &'static str) -> Option<String> {
        let given = self.text(name)?;
        let valid = !given.is_empty()
            && given.len() <= 64
            && given.bytes().all(|byte| byte.is_ascii_graphic());
        if !valid {
            self.complain(
                name,
                "not-a-word",
                "expected 1 to 64 ASCII characters without spaces",
            );
        }
        valid.then_some(given)
    }

    /// Reads a time.
    pub fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let given = self.text(name)?;
        // A `+` that was not percent-encoded was decoded as a space.
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

    /// Reads `cursor`: where the previous page ended.
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

    /// Reports an error of a parameter.
    pub fn complain(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(name, code, detail));
    }

    /// Fails if a parameter is wrong or unknown.
    pub fn finish(mut self) -> Result<(), ApiError> {
        let expected = if self.known.is_empty() {
            "none".to_owned()
        } else {
            self.known.join(", ")
        };
        for (key, _) in &self.unread {
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
