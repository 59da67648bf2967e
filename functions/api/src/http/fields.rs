//! Reads a JSON object field by field and reports all wrong fields at once. A field that no call
//! has read is unknown. Values stay in the body; they are not copied.

use std::{borrow::Cow, fmt, ops::RangeInclusive};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::http::error::{ApiError, FieldError};

/// Fields of an object, at most: far more than any request has, so that a body full of fields does
/// not exhaust the memory.
const MOST_FIELDS: usize = 100;

/// The fields of one object.
pub struct Fields<'a> {
    unread: Vec<(Cow<'a, str>, &'a RawValue)>,
    known: Vec<&'static str>,
    given: Vec<&'static str>,
    errors: Vec<FieldError>,
}

/// Returns a whole number. `17.0` counts as one, as it does in JSON Schema and in many languages.
pub fn whole(number: &serde_json::Number) -> Option<u32> {
    let with_fraction = || {
        number
            .as_f64()
            .filter(|n| n.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(n))
            .map(|n| n as u32)
    };
    number
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .or_else(with_fraction)
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A key, borrowed unless it contains escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    if members.len() == MOST_FIELDS {
                        return Err(A::Error::custom("too many fields"));
                    }
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl<'a> Fields<'a> {
    /// Reads the object in `body`. Invalid JSON is [`ApiError::Malformed`], with line and column.
    pub fn read(body: &'a [u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice::<Members<'a>>(body) {
            Ok(Members(unread)) => Ok(Self {
                unread,
                known: Vec::new(),
                given: Vec::new(),
                errors: Vec::new(),
            }),
            Err(error) if error.is_data() => {
                let expected = format!("expected a JSON object of at most {MOST_FIELDS} fields");
                Err(ApiError::invalid(vec![FieldError::new(
                    "",
                    "not-an-object",
                    expected,
                )]))
            }
            Err(error) => Err(ApiError::Malformed(format!("expected JSON: {error}"))),
        }
    }

    /// Reads a field as it is; null counts as not given.
    pub fn raw(&mut self, name: &'static str) -> Option<&'a RawValue> {
        self.known.push(name);
        let mut found = None;
        while let Some(at) = self.unread.iter().position(|(key, _)| key == name) {
            let (_, value) = self.unread.remove(at);
            if found.replace(value).is_some() {
                self.complain(name, "given-twice", "expected this field once");
            }
        }
        let found = found.filter(|value| value.get() != "null");
        if found.is_some() {
            self.given.push(name);
        }
        found
    }

    /// Reads a field of any type; `expected` names the type in the error.
    pub fn read_as<T: Deserialize<'a>>(&mut self, name: &'static str, expected: &str) -> Option<T> {
        let value = serde_json::from_str(self.raw(name)?.get());
        value
            .map_err(|_| self.complain(name, "wrong-type", format!("expected {expected}")))
            .ok()
    }

    /// Reads a field that may be null. Null is `Some(None)`, as opposed to `None`, not given.
    pub fn nullable<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.is_null(name) {
            self.raw(name);
            return Some(None);
        }
        read(self).map(Some)
    }

    /// Returns whether the field is not given, or null.
    pub fn is_absent(&self, name: &str) -> bool {
        !self
            .unread
            .iter()
            .any(|(key, value)| key == name && value.get() != "null")
    }

    /// Returns whether the field is given as null.
    pub fn is_null(&self, name: &str) -> bool {
        self.unread
            .iter()
            .any(|(key, value)| key == name && value.get() == "null")
    }

    /// Reads a string.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.read_as(name, "a string")
    }

    /// Reads a whole number within `range`.
    pub fn number(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let number: serde_json::Number = self.read_as(name, &expected)?;
        let number = whole(&number).filter(|number| range.contains(number));
        if number.is_none() {
            self.complain(name, "out-of-range", format!("expected {expected}"));
        }
        number
    }

    /// Reads one of `all` by its name.
    pub fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        all: &[T],
        name_of: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let names: Vec<_> = all.iter().map(|choice| name_of(*choice)).collect();
        let expected = format!("one of: {}", names.join(", "));
        let given: String = self.read_as(name, &expected)?;
        let found = all.iter().copied().find(|choice| name_of(*choice) == given);
        if found.is_none() {
            self.complain(name, "not-a-choice", format!("expected {expected}"));
        }
        found
    }

    /// Reports a field that was read and not given, unless another error of it is reported.
    pub fn require(&mut self, name: &'static str, expected: &str) {
        if !self.given.contains(&name) && !self.errors.iter().any(|error| error.field == name) {
            self.complain(name, "missing", format!("expected {expected}"));
        }
    }

    /// Reports an error of a field.
    pub fn complain(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(name, code, detail));
    }

    /// Returns whether no error was reported so far.
    pub const fn is_faultless(&self) -> bool {
        self.errors.is_empty()
    }

    /// Returns all errors: those that were reported, and the fields that were never read.
    pub fn finish(mut self) -> Vec<FieldError> {
        let expected = format!("unknown field; expected only: {}", self.known.join(", "));
        for (key, _) in &self.unread {
            let name: String = key.chars().take(64).collect();
            self.errors
                .push(FieldError::new(name, "unknown-field", &expected));
        }
        self.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_in_every_notation() {
        for (given, expected) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("17.0", Some(17)),
            ("1e3", Some(1000)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("4294967296.0", None),
            ("1.5", None),
            ("-1", None),
            ("-0.0", Some(0)),
            ("1e300", None),
        ] {
            assert_eq!(
                whole(&serde_json::from_str(given).unwrap()),
                expected,
                "{given}"
            );
        }
    }
}
