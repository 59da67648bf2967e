//! How a list is parsed: its format, the country of its phone numbers, its columns and variables.

use std::sync::Arc;

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};
use shared::message::{
    phone::{AllowedCountries, AllowedTypes, Region},
    template::Template,
};

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
    /// XLSX or ODS, with the same columns.
    Spreadsheet,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Json, Self::Ndjson, Self::Csv, Self::Spreadsheet];

    /// Returns the name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spreadsheet => "spreadsheet",
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
    /// Its two letters, as they were given.
    pub country: Option<String>,
    /// In a spreadsheet, the sheet; `None`: the first.
    pub sheet: Option<String>,
    /// In CSV and spreadsheets, the column with the phone numbers: its name in the header, or its position from 1.
    pub column: Option<String>,
    /// In the same, the column with the references; `None`: the column `reference`, if there is one.
    pub reference_column: Option<String>,
    /// In the same, the column with the groups; `None`: the column `group`, if there is one.
    pub group_column: Option<String>,
    /// Which kinds of numbers are accepted; `None`: all.
    pub types: Option<NumberTypes>,
    /// The countries whose numbers are accepted.
    pub countries: AllowedCountries,
    /// The types of numbers that are accepted of all lists, whatever `types` is.
    pub number_types: AllowedTypes,
    /// Which variables an entry may have.
    pub variables: AcceptedVariables,
    /// Whether each entry needs a reference: the schedule is `unique_by: reference`.
    pub needs_reference: bool,
    /// Whether the body is binary, so that no gateway has converted it.
    pub is_binary: bool,
    /// The encoding of a binary body; `None`: UTF-8, or that of its byte order mark.
    pub charset: Option<&'static Encoding>,
}

/// The effect of invalid entries on a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnInvalid {
    /// The list is refused as a whole.
    #[default]
    Reject,
    /// The invalid entries are kept as INVALID, and the others are accepted.
    Skip,
}

impl OnInvalid {
    /// Both values.
    pub const ALL: [Self; 2] = [Self::Reject, Self::Skip];

    /// Returns the value in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Skip => "skip",
        }
    }
}

/// The effect of an entry whose number is in the schedule already, or in the list before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDuplicate {
    /// The first entry counts.
    #[default]
    Skip,
    /// The last entry counts, unless its message cannot be changed any more.
    Update,
    /// The list is refused as a whole.
    Reject,
}

impl OnDuplicate {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Update, Self::Reject];

    /// Returns the value in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Update => "update",
            Self::Reject => "reject",
        }
    }
}

/// The kinds of numbers that a list may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NumberTypes {
    /// All valid numbers.
    #[default]
    Any,
    /// Mobile numbers, and numbers of countries in which mobile numbers and landlines look alike.
    Mobile,
}

impl NumberTypes {
    /// Both values.
    pub const ALL: [Self; 2] = [Self::Any, Self::Mobile];

    /// Returns the value in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Mobile => "mobile",
        }
    }
}

/// How the lists that are appended to a schedule are read, unless a call says otherwise:
/// `schedules.list_defaults`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDefaults {
    /// The two letters of a country.
    pub default_country: Option<String>,
    /// The column with the phone numbers.
    pub column: Option<String>,
    /// The column with the references.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_column: Option<String>,
    /// The column with the groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_column: Option<String>,
    /// The effect of invalid entries.
    pub on_invalid: Option<OnInvalid>,
    /// The effect of entries whose number is in the list already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_duplicate: Option<OnDuplicate>,
    /// The kinds of numbers that are accepted.
    pub types: Option<NumberTypes>,
}

impl ListDefaults {
    /// Reads the column; what is missing or unknown counts as not given.
    pub fn read(column: Option<&str>) -> Self {
        let read = column.and_then(|json| serde_json::from_str(json).ok());
        read.unwrap_or_default()
    }

    /// Returns the column; `None` if nothing is given.
    pub fn to_column(&self) -> Option<String> {
        let json = serde_json::to_string(self).ok();
        json.filter(|_| *self != Self::default())
    }

    /// Adds to the options of a list what its call does not say.
    pub fn apply(&self, options: &mut Options) {
        if options.region.is_none() {
            options.country.clone_from(&self.default_country);
            options.region = options.country.as_deref().and_then(Region::parse);
        }
        for (column, default) in [
            (&mut options.column, &self.column),
            (&mut options.reference_column, &self.reference_column),
            (&mut options.group_column, &self.group_column),
        ] {
            *column = column.take().or_else(|| default.clone());
        }
        options.types = options.types.or(self.types);
    }
}

/// Whether a name or a position may be that of a column.
pub fn is_column(given: &str) -> bool {
    !given.trim().is_empty() && given.len() <= LONGEST_COLUMN && given != "0"
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
