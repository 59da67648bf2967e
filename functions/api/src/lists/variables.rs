//! The variables of an entry: `vars` in JSON, the other columns in CSV.

use std::{collections::BTreeMap, fmt};

use csv::ByteRecord;
use serde_json::value::RawValue;
use shared::message::template::{MAX_VARIABLES, Template, Variables};

use crate::lists::header;

const EXPECTED: &str =
    r#"expected an object of strings and numbers, such as {"name": "Ana", "amount": "1.10"}"#;

/// Bytes of `vars` in a request, at most: much more than those of the most variables, also if each
/// character is escaped.
const MAX_RAW: usize = 8 * MAX_VARIABLES;

/// Reads the member `vars`. A number keeps its notation, such as `1.10`. Null counts as not given.
pub fn read(json: &RawValue) -> Result<Variables, WrongVariables> {
    if json.get().len() > MAX_RAW {
        return Err(WrongVariables::TooLong);
    }
    let given: Option<BTreeMap<String, &RawValue>> =
        serde_json::from_str(json.get()).map_err(|_| WrongVariables::other(EXPECTED))?;
    let mut variables = Variables::new();
    for (name, value) in given.into_iter().flatten() {
        let value = value.get();
        let value = match value.as_bytes().first() {
            Some(b'"') => {
                serde_json::from_str(value).map_err(|_| WrongVariables::other(EXPECTED))?
            }
            Some(b'-' | b'0'..=b'9') => value.to_owned(),
            Some(b'n') => continue,
            _ => {
                let name: String = name.chars().take(64).collect();
                return Err(WrongVariables::Other(format!(
                    "{EXPECTED}; `{name}` is neither a string nor a number"
                )));
            }
        };
        variables.insert(name.to_ascii_lowercase(), value);
    }
    Ok(variables)
}

/// Why variables are refused.
#[derive(Debug)]
pub enum WrongVariables {
    /// They are too long.
    TooLong,
    /// They are no object of strings and numbers; what was expected.
    Other(String),
}

impl WrongVariables {
    fn other(detail: &str) -> Self {
        Self::Other(detail.to_owned())
    }

    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "variables-too-long",
            Self::Other(_) => "wrong-variables",
        }
    }
}

impl fmt::Display for WrongVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "expected at most {MAX_VARIABLES} bytes of variables"),
            Self::Other(detail) => f.write_str(detail),
        }
    }
}

/// The columns of a CSV that a template names: their positions and their names in lower case. In a
/// header, each character that is not a letter or a digit counts as `_`.
pub struct Columns(Vec<(usize, String)>);

impl Columns {
    /// Returns the columns of a header, without the one with the phone numbers.
    pub fn of(header: &ByteRecord, phone: usize, template: &Template) -> Self {
        let name = |field: &[u8]| -> String {
            let field = String::from_utf8_lossy(field);
            header::trimmed(&field)
                .to_ascii_lowercase()
                .chars()
                .map(|character| {
                    if character.is_ascii_alphanumeric() {
                        character
                    } else {
                        '_'
                    }
                })
                .collect()
        };
        let named = header
            .iter()
            .map(name)
            .enumerate()
            .filter(|(at, name)| *at != phone && template.names().any(|known| known == name));
        Self(named.collect())
    }

    /// Returns whether one of them has this position.
    pub fn contain(&self, column: usize) -> bool {
        self.0.iter().any(|(at, _)| *at == column)
    }

    /// Reads the variables of a line; an empty field counts as not given. Fails if a field is not
    /// valid UTF-8; the error names the column.
    pub fn read(&self, record: &ByteRecord) -> Result<Variables, String> {
        let mut variables = Variables::new();
        for (at, name) in &self.0 {
            let Some(field) = record.get(*at) else {
                continue;
            };
            let field = std::str::from_utf8(field)
                .map_err(|_| {
                    format!(
                        "expected UTF-8 in the column `{name}`; name another encoding with charset, such as windows-1252, and send \
                         the list as application/octet-stream"
                    )
                })?
                .trim();
            if !field.is_empty() {
                variables.insert(name.clone(), field.to_owned());
            }
        }
        Ok(variables)
    }
}
