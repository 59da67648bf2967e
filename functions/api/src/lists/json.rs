//! A list as JSON: an array of strings and objects, alone or as the member `recipients` of an object. It is walked, never
//! built: no value of it is kept.

use std::{borrow::Cow, fmt, io};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use serde_json::value::RawValue;
use shared::message::template::Variables;

use crate::http::error::{ApiError, FieldError};
use crate::lists::{Wanted, entry::Sink, guard, variables};

/// Reads a list that lies in memory.
pub fn parse_slice(json: &[u8], sink: &mut Sink) -> Result<(), ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = Document(sink)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    read.map_err(explain)
}

/// Reads a list as it comes out of gzip.
pub fn parse_reader(json: impl io::Read, sink: &mut Sink) -> Result<(), ApiError> {
    let mut deserializer = serde_json::Deserializer::from_reader(json);
    let read = Document(sink)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    read.map_err(explain)
}

/// One line of NDJSON.
pub fn parse_line(json: &[u8], sink: &mut Sink) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let seen = Item {
        sink: &mut *sink,
        inside: false,
    }
    .deserialize(&mut deserializer)?;
    seen.put::<serde_json::Error>(sink)?;
    deserializer.end()
}

fn explain(error: serde_json::Error) -> ApiError {
    if error.is_io() {
        guard::explain(&error.into())
    } else if error.is_data() {
        // JSON, but not of this shape. Entries of a wrong type don't end here: they are invalid entries.
        ApiError::invalid(vec![FieldError::new(
            "recipients",
            "wrong-type",
            error.to_string(),
        )])
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
        while let Some(seen) = seq.next_element_seed(Item {
            sink: &mut *self.0,
            inside: false,
        })? {
            seen.put::<A::Error>(self.0)?;
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
                let error = FieldError::new(
                    name,
                    "unknown-field",
                    "unknown field; expected only: recipients, once",
                );
                self.0.wrong(error).map_err(A::Error::custom)?;
            }
        }
        if given {
            Ok(())
        } else {
            Err(A::Error::custom("the field `recipients` is missing"))
        }
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

/// One entry: a string, or an object with `phone` and perhaps `vars`. Anything else is an entry too, an invalid one.
struct Item<'a> {
    sink: &'a mut Sink,
    /// Whether this is the value of `phone`, which can't be an object again.
    inside: bool,
}

/// What an entry was found to be.
struct Seen<'de> {
    /// A number, or what there is in its place.
    phone: Result<Cow<'de, str>, String>,
    /// Or what is wrong with them.
    variables: Result<Variables, String>,
}

impl<'de> Seen<'de> {
    fn number(phone: Cow<'de, str>) -> Self {
        Self {
            phone: Ok(phone),
            variables: Ok(Variables::new()),
        }
    }

    fn other(shown: impl Into<String>) -> Self {
        Self {
            phone: Err(shown.into()),
            variables: Ok(Variables::new()),
        }
    }

    fn put<E: Error>(self, sink: &mut Sink) -> Result<(), E> {
        let put = match (self.phone, self.variables) {
            (Err(shown), _) => sink.refuse(
                &shown,
                "wrong-type",
                r#"expected a string such as "+60123456789", or {"phone": "+60123456789"}"#,
            ),
            (Ok(phone), Err(detail)) => sink.refuse(&phone, "wrong-variables", detail),
            (Ok(phone), Ok(variables)) => sink.entry(&phone, &variables),
        };
        put.map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = Seen<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = Seen<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a phone number")
    }

    fn visit_borrowed_str<E: Error>(self, input: &'de str) -> Result<Seen<'de>, E> {
        Ok(Seen::number(input.into()))
    }

    fn visit_str<E: Error>(self, input: &str) -> Result<Seen<'de>, E> {
        Ok(Seen::number(input.to_owned().into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen<'de>, A::Error> {
        if self.inside {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Seen::other("{}"));
        }
        let (mut phone, mut variables) = (None, None);
        while let Some(Key(key)) = map.next_key()? {
            if key == "phone" && phone.is_none() {
                phone = Some(
                    map.next_value_seed(Item {
                        sink: &mut *self.sink,
                        inside: true,
                    })?
                    .phone,
                );
            } else if key == "vars"
                && variables.is_none()
                && !matches!(self.sink.wanted(), Wanted::No)
            {
                variables = Some(variables::read(&map.next_value::<Box<RawValue>>()?));
            } else {
                map.next_value::<IgnoredAny>()?;
                self.sink.unknown_field(&key).map_err(A::Error::custom)?;
            }
        }
        Ok(Seen {
            phone: phone.unwrap_or_else(|| Err("{}".to_owned())),
            variables: variables.unwrap_or_else(|| Ok(Variables::new())),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Seen<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Seen::other("[]"))
    }

    fn visit_unit<E: Error>(self) -> Result<Seen<'de>, E> {
        Ok(Seen::other("null"))
    }

    fn visit_bool<E: Error>(self, given: bool) -> Result<Seen<'de>, E> {
        Ok(Seen::other(given.to_string()))
    }

    fn visit_u64<E: Error>(self, given: u64) -> Result<Seen<'de>, E> {
        Ok(Seen::other(given.to_string()))
    }

    fn visit_i64<E: Error>(self, given: i64) -> Result<Seen<'de>, E> {
        Ok(Seen::other(given.to_string()))
    }

    fn visit_f64<E: Error>(self, given: f64) -> Result<Seen<'de>, E> {
        Ok(Seen::other(given.to_string()))
    }
}
