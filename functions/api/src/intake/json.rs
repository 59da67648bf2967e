//! A list as JSON: an array of strings and objects, alone or as the member `recipients` of an object. It is walked, never
//! built: no value of it is kept.

use std::{borrow::Cow, fmt, io};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{entry::Sink, guard};
use crate::error::{ApiError, FieldError};

/// Reads a list that lies in memory.
pub fn parse_slice(json: &[u8], sink: &mut Sink) -> Result<(), ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = Document(sink).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    read.map_err(explain)
}

/// Reads a list as it comes out of gzip.
pub fn parse_reader(json: impl io::Read, sink: &mut Sink) -> Result<(), ApiError> {
    let mut deserializer = serde_json::Deserializer::from_reader(json);
    let read = Document(sink).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    read.map_err(explain)
}

/// One line of NDJSON.
pub fn parse_line(json: &[u8], sink: &mut Sink) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Item { sink, inside: false }.deserialize(&mut deserializer)?;
    deserializer.end()
}

fn explain(error: serde_json::Error) -> ApiError {
    if error.is_io() {
        guard::explain(&error.into())
    } else if error.is_data() {
        // JSON, but not of this shape. Entries of a wrong type don't end here: they are invalid entries.
        ApiError::invalid(vec![FieldError::new("recipients", "wrong-type", error.to_string())])
    } else {
        ApiError::Malformed(format!("expected JSON: {error}"))
    }
}

/// The list as a whole.
struct Document<'a>(&'a mut Sink);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"an array of numbers, or an object {"recipients": […]}"#)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Item { sink: &mut *self.0, inside: false })?.is_some() {
            self.0.position += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut given = false;
        while let Some(Key(key)) = map.next_key()? {
            if key == "recipients" && !given {
                given = true;
                map.next_value_seed(Array(&mut *self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
                let name: String = key.chars().take(64).collect();
                let error = FieldError::new(name, "unknown-field", "unknown field; expected only: recipients, once");
                self.0.wrong(error).map_err(A::Error::custom)?;
            }
        }
        if given { Ok(()) } else { Err(A::Error::custom("the field `recipients` is missing")) }
    }
}

/// The member `recipients`.
struct Array<'a>(&'a mut Sink);

impl<'de> DeserializeSeed<'de> for Array<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(Document(self.0))
    }
}

/// A key, borrowed where it can be.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// One entry: a string, or an object with `phone`. Anything else is an entry too, an invalid one.
struct Item<'a> {
    sink: &'a mut Sink,
    /// Whether this is the value of `phone`, which can't be an object again.
    inside: bool,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Item<'_> {
    fn wrong_type<E: Error>(self, given: &str) -> Result<(), E> {
        let expected = r#"expected a string such as "+60123456789", or {"phone": "+60123456789"}"#;
        self.sink.refuse(given, "wrong-type", expected).map_err(E::custom)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a phone number")
    }

    fn visit_str<E: Error>(self, input: &str) -> Result<(), E> {
        self.sink.text(input).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.inside {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return self.wrong_type("{}");
        }
        let mut given = false;
        while let Some(Key(key)) = map.next_key()? {
            if key == "phone" && !given {
                given = true;
                map.next_value_seed(Item { sink: &mut *self.sink, inside: true })?;
            } else {
                map.next_value::<IgnoredAny>()?;
                self.sink.unknown_field(&key).map_err(A::Error::custom)?;
            }
        }
        if given { Ok(()) } else { self.wrong_type("{}") }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.wrong_type("[]")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.wrong_type("null")
    }

    fn visit_bool<E: Error>(self, given: bool) -> Result<(), E> {
        self.wrong_type(&given.to_string())
    }

    fn visit_u64<E: Error>(self, given: u64) -> Result<(), E> {
        self.wrong_type(&given.to_string())
    }

    fn visit_i64<E: Error>(self, given: i64) -> Result<(), E> {
        self.wrong_type(&given.to_string())
    }

    fn visit_f64<E: Error>(self, given: f64) -> Result<(), E> {
        self.wrong_type(&given.to_string())
    }
}
