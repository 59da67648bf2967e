//! How a list is parsed: its format, the country of its phone numbers, its columns and variables.

use std::sync::Arc;

use shared::message::{phone::Region, template::Template};

use crate::http::error::ApiError;

/// Bytes of a column's name, at most.
pub const LONGEST_COLUMN: usize = 128;

/// The format of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An array, or an object with the array as its member `recipients`.
    Json,
    /// One string or object per line.
    Ndjson,
    /// One column, or a header with a column `phone`.
    Csv,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Json, Self::Ndjson, Self::Csv];

    /// Returns the name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }
}

/// How the entries of a list are parsed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The country of phone numbers without a country code; `None`: they are invalid.
    pub region: Option<Region>,
    /// In CSV, the column with the phone numbers: its name in the header, or its position from 1.
    pub column: Option<String>,
    /// Which variables an entry may have.
    pub variables: AcceptedVariables,
}

/// Which variables an entry may have.
#[derive(Clone, Debug, Default)]
pub enum AcceptedVariables {
    /// None: variables are unknown fields.
    #[default]
    None,
    /// Any: they are stored, although no text uses them.
    Any,
    /// Those of this message; an entry that lacks one is invalid. In CSV, the columns that the
    /// message names.
    Of(Arc<Template>),
}

impl AcceptedVariables {
    /// Returns the variables that a message accepts; it was validated when it was posted.
    pub fn of(message: &str) -> Result<Self, ApiError> {
        let template =
            Template::parse(message).map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok(template.map_or(Self::Any, |template| Self::Of(Arc::new(template))))
    }
}
