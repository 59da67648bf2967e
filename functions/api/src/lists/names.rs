//! What the client's system calls an entry: its reference, and the group that it belongs to. In JSON
//! the members `reference` and `group`, in CSV the columns of these names, or those that the request
//! selects.

use std::fmt;

use csv::ByteRecord;
use serde_json::value::RawValue;

use crate::{
    http::error::ApiError,
    lists::{entry::Sink, header},
};

/// Characters of a reference, and of a group, at most.
pub const LONGEST: usize = 64;

/// The reference and the group of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryNames {
    /// What the client's system calls it.
    pub reference: Option<Box<str>>,
    /// Such as a region or a store.
    pub group: Option<Box<str>>,
}

impl EntryNames {
    /// Neither.
    pub const NONE: Self = Self {
        reference: None,
        group: None,
    };

    /// Returns whether it has neither.
    pub const fn is_empty(&self) -> bool {
        self.reference.is_none() && self.group.is_none()
    }

    /// Returns the number of bytes of both.
    pub fn len(&self) -> usize {
        [&self.reference, &self.group]
            .into_iter()
            .flatten()
            .map(|name| name.len())
            .sum()
    }
}

/// The two kinds of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// `reference`
    Reference,
    /// `group`
    Group,
}

impl NameKind {
    /// Returns the name of the member and of the column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Group => "group",
        }
    }
}

/// A reference or a group that an entry may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongName(NameKind);

impl WrongName {
    /// Returns a stable code for programs.
    pub const fn code(self) -> &'static str {
        match self.0 {
            NameKind::Reference => "wrong-reference",
            NameKind::Group => "wrong-group",
        }
    }
}

impl fmt::Display for WrongName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_str();
        write!(
            f,
            "expected a `{name}` of at most {LONGEST} characters on one line, without U+FFFD"
        )
    }
}

/// Reads a reference or a group. White space around it is removed, because the database compares
/// some texts without it. `None`: nothing is left.
pub fn read(kind: NameKind, given: &str) -> Result<Option<Box<str>>, WrongName> {
    let text = given.trim();
    let is_wrong = text.chars().nth(LONGEST).is_some()
        || text
            .chars()
            .any(|character| character.is_control() || character == char::REPLACEMENT_CHARACTER);
    if is_wrong {
        return Err(WrongName(kind));
    }
    Ok(Some(text).filter(|text| !text.is_empty()).map(Into::into))
}

/// The members of a JSON entry, unread.
#[derive(Default)]
pub struct RawNames {
    reference: Option<Box<RawValue>>,
    group: Option<Box<RawValue>>,
}

impl RawNames {
    /// Returns the place of a member that has this key and was not given before.
    pub fn unread(&mut self, key: &str) -> Option<&mut Option<Box<RawValue>>> {
        let member = match key {
            "reference" => &mut self.reference,
            "group" => &mut self.group,
            _ => return None,
        };
        member.is_none().then_some(member)
    }

    /// Reads both members: strings, or null, which counts as not given.
    pub fn read(self) -> Result<EntryNames, WrongName> {
        let text = |kind, json: Option<Box<RawValue>>| {
            let Some(json) = json else {
                return Ok(None);
            };
            let text: Option<String> =
                serde_json::from_str(json.get()).map_err(|_| WrongName(kind))?;
            read(kind, text.as_deref().unwrap_or_default())
        };
        Ok(EntryNames {
            reference: text(NameKind::Reference, self.reference)?,
            group: text(NameKind::Group, self.group)?,
        })
    }
}

/// The columns of a CSV that have them.
#[derive(Clone, Copy, Debug, Default)]
pub struct NameColumns {
    reference: Option<usize>,
    group: Option<usize>,
}

impl NameColumns {
    /// Finds the columns in the first row, other than the one with the phone numbers. Fails if a
    /// column that the request selects does not exist.
    pub fn find(row: &ByteRecord, header: header::Header, sink: &Sink) -> Result<Self, ApiError> {
        let options = sink.options();
        let find = |kind: NameKind, selected: Option<&str>| {
            let found = header::named_column(row, header, selected.unwrap_or(kind.as_str()));
            match (found, selected) {
                (None, Some(selected)) => {
                    Err(header::no_column(row, kind.as_str(), selected, sink))
                }
                _ => Ok(found),
            }
        };
        Ok(Self {
            reference: find(NameKind::Reference, options.reference_column.as_deref())?,
            group: find(NameKind::Group, options.group_column.as_deref())?,
        })
    }

    /// Returns whether one of them has this position.
    pub fn contain(&self, column: usize) -> bool {
        [self.reference, self.group].contains(&Some(column))
    }

    /// Reads the fields of a row. An empty field counts as not given.
    pub fn read(&self, row: &ByteRecord) -> Result<EntryNames, WrongName> {
        let text = |kind, column: Option<usize>| {
            let Some(field) = column.and_then(|column| row.get(column)) else {
                return Ok(None);
            };
            let field = std::str::from_utf8(field).map_err(|_| WrongName(kind))?;
            read(kind, field)
        };
        Ok(EntryNames {
            reference: text(NameKind::Reference, self.reference)?,
            group: text(NameKind::Group, self.group)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_at_most_64_characters() {
        let longest = "ü".repeat(LONGEST);
        for (given, expected) in [
            ("A-1", Some("A-1")),
            (" A 1\t", Some("A 1")),
            (&longest, Some(longest.as_str())),
            ("", None),
            (" \u{3000} ", None),
        ] {
            let read = read(NameKind::Reference, given).unwrap();
            assert_eq!(read.as_deref(), expected, "{given:?}");
        }
        for given in [&format!("{longest}x"), "a\nb", "\0", "Jos\u{fffd}"] {
            assert_eq!(
                read(NameKind::Group, given),
                Err(WrongName(NameKind::Group)),
                "{given:?}"
            );
        }
    }
}
