//! The query parameters that select schedules by what they are called. Upper and lower case do not
//! matter, nor do accents.

use serde_json::{Value, json};

use crate::{http::query::Query, resources::schedules::store::names::Called};

/// The largest number of characters of a parameter: no name, reference or label is longer.
const LONGEST: usize = 100;

/// The parameters `label`, `reference` and `search`.
#[derive(Debug, Default)]
pub struct Selected {
    label: Option<String>,
    reference: Option<String>,
    search: Option<String>,
}

impl Selected {
    /// Reads the parameters.
    pub fn read(query: &mut Query) -> Self {
        Self {
            search: text(query, "search"),
            ..Self::read_exact(query)
        }
    }

    /// Reads those that name schedules exactly.
    pub fn read_exact(query: &mut Query) -> Self {
        Self {
            label: text(query, "label"),
            reference: text(query, "reference"),
            search: None,
        }
    }

    /// Returns what the statements compare.
    pub fn called(&self) -> Called<'_> {
        Called {
            label: self.label.as_deref(),
            reference: self.reference.as_deref(),
            search: self.search.as_deref(),
        }
    }

    /// Describes what [`Selected::read`] reads.
    pub fn parameters() -> [Value; 3] {
        let search = "Only schedules with this text in their name, reference or labels. Without a label and a reference: of the 100,000 newest schedules.";
        [
            of(
                "label",
                "Only schedules with this label; of more than 100,000 the newest.",
            ),
            reference_parameter(),
            of("search", search),
        ]
    }
}

/// Describes `reference`.
pub fn reference_parameter() -> Value {
    of("reference", "Only schedules with this reference.")
}

fn text(query: &mut Query, name: &'static str) -> Option<String> {
    let given = query.text(name)?;
    let is_valid =
        (1..=LONGEST).contains(&given.chars().count()) && !given.chars().any(char::is_control);
    if !is_valid {
        let expected = format!("expected 1 to {LONGEST} characters on one line");
        query.complain(name, "not-a-name", expected);
    }
    Some(given)
}

fn of(name: &str, text: &str) -> Value {
    json!({"name": name, "in": "query", "description": text, "schema": schema()})
}

/// Returns the schema of each of the parameters.
pub fn schema() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"})
}
