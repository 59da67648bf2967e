//! Lists as JSON: an array of strings and objects, alone or as the member `recipients` of an
//! object. The values are visited one by one; the document is never built in memory.

use std::{borrow::Cow, fmt, io};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use serde_json::value::RawValue;
use shared::message::template::Variables;

use crate::{
    http::error::{ApiError, FieldError},
    lists::{
        entry::{Details, Sink},
        guard,
        names::{EntryNames, RawNames, WrongName},
        options::AcceptedVariables,
        variables::{self, WrongVariables},
    },
};

/// Parses a list in memory.
pub fn parse_slice(json: &[u8], sink: &mut Sink) -> Result<(), ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = Document(sink)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    read.map_err(explain)
}

/// Parses a list while it is decompressed.
pub fn parse_reader(json: impl io::Read, sink: &mut Sink) -> Result<(), ApiError> {
    let mut deserializer = serde_json::Deserializer::from_reader(json);
    let read = Document(sink)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    read.map_err(explain)
}

/// Parses one line of NDJSON.
pub fn parse_line(json: &[u8], sink: &mut Sink) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let parsed = Item {
        sink: &mut *sink,
        inside: false,
    }
    .deserialize(&mut deserializer)?;
    parsed.put::<serde_json::Error>(sink)?;
    deserializer.end()
}

fn explain(error: serde_json::Error) -> ApiError {
    if error.is_io() {
        guard::explain(&error.into())
    } else if error.is_data() {
        // Valid JSON of another shape. Entries of a wrong type are not errors: they are invalid
        // entries.
        ApiError::invalid(vec![FieldError::new(
            "recipients",
            "wrong-type",
            error.to_string(),
        )])
    } else {
        ApiError::Malformed(format!("expected JSON: {error}"))
    }
}

/// The whole list.
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
        f.write_str(r#"an array of phone numbers, or an object {"recipients": […]}"#)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(parsed) = seq.next_element_seed(Item {
            sink: &mut *self.0,
            inside: false,
        })? {
            parsed.put::<A::Error>(self.0)?;
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
                self.0.reject(error).map_err(A::Error::custom)?;
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

/// A key, borrowed unless it contains escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// One entry: a string, or an object with `phone` and optionally `vars`, `reference` and `group`. Any other value is an
/// invalid entry.
struct Item<'a> {
    sink: &'a mut Sink,
    /// Whether this is the value of `phone`, which cannot be an object.
    inside: bool,
}

/// An entry as it was parsed.
struct Parsed<'de> {
    /// The phone number, or the value in its place.
    phone: Result<Cow<'de, str>, String>,
    /// The variables, or what is wrong with them.
    variables: Result<Variables, WrongVariables>,
    /// The reference and the group, or what is wrong with them.
    names: Result<EntryNames, WrongName>,
}

impl<'de> Parsed<'de> {
    fn number(phone: Cow<'de, str>) -> Self {
        Self {
            phone: Ok(phone),
            variables: Ok(Variables::new()),
            names: Ok(EntryNames::default()),
        }
    }

    fn other(shown: impl Into<String>) -> Self {
        Self {
            phone: Err(shown.into()),
            variables: Ok(Variables::new()),
            names: Ok(EntryNames::default()),
        }
    }

    fn put<E: Error>(self, sink: &mut Sink) -> Result<(), E> {
        let put = match (self.phone, self.variables, self.names) {
            (Err(shown), _, _) => sink.refuse(
                &shown,
                "wrong-type",
                r#"expected a string such as "+60123456789", or {"phone": "+60123456789"}"#,
            ),
            (Ok(phone), Err(error), _) => sink.refuse(&phone, error.code(), error.to_string()),
            (Ok(phone), _, Err(wrong)) => sink.refuse(&phone, wrong.code(), wrong.to_string()),
            (Ok(phone), Ok(variables), Ok(names)) => {
                sink.entry(&phone, Details { variables, names })
            }
        };
        put.map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = Parsed<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parsed<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = Parsed<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a phone number")
    }

    fn visit_borrowed_str<E: Error>(self, input: &'de str) -> Result<Parsed<'de>, E> {
        Ok(Parsed::number(input.into()))
    }

    fn visit_str<E: Error>(self, input: &str) -> Result<Parsed<'de>, E> {
        Ok(Parsed::number(input.to_owned().into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed<'de>, A::Error> {
        if self.inside {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Parsed::other("{}"));
        }
        let (mut phone, mut variables) = (None, None);
        let mut names = RawNames::default();
        let takes_details = !matches!(self.sink.accepted(), AcceptedVariables::None);
        while let Some(Key(key)) = map.next_key()? {
            if key == "phone" && phone.is_none() {
                phone = Some(
                    map.next_value_seed(Item {
                        sink: &mut *self.sink,
                        inside: true,
                    })?
                    .phone,
                );
            } else if key == "vars" && variables.is_none() && takes_details {
                variables = Some(variables::read(&map.next_value::<Box<RawValue>>()?));
            } else if let Some(name) = names.unread(&key).filter(|_| takes_details) {
                *name = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
                self.sink.unknown_field(&key).map_err(A::Error::custom)?;
            }
        }
        Ok(Parsed {
            phone: phone.unwrap_or_else(|| Err("{}".to_owned())),
            variables: variables.unwrap_or_else(|| Ok(Variables::new())),
            names: names.read(),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Parsed<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Parsed::other("[]"))
    }

    fn visit_unit<E: Error>(self) -> Result<Parsed<'de>, E> {
        Ok(Parsed::other("null"))
    }

    fn visit_bool<E: Error>(self, given: bool) -> Result<Parsed<'de>, E> {
        Ok(Parsed::other(given.to_string()))
    }

    fn visit_u64<E: Error>(self, given: u64) -> Result<Parsed<'de>, E> {
        Ok(Parsed::other(given.to_string()))
    }

    fn visit_i64<E: Error>(self, given: i64) -> Result<Parsed<'de>, E> {
        Ok(Parsed::other(given.to_string()))
    }

    fn visit_f64<E: Error>(self, given: f64) -> Result<Parsed<'de>, E> {
        Ok(Parsed::other(given.to_string()))
    }
}
