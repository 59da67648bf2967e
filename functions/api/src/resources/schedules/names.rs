//! What people and their systems call a schedule: a name, a reference and labels. They have no
//! effect on what is sent, so they can be changed in every state.

use serde_json::{Value, json};

use crate::http::fields::Fields;

/// The largest number of characters of a name.
const LONGEST_NAME: usize = 100;
/// The largest number of characters of a reference, and of a label.
const LONGEST_WORD: usize = 64;
/// The largest number of labels of a schedule.
const MOST_LABELS: usize = 20;

/// What a schedule is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// For people.
    pub name: Option<String>,
    /// For the client's system.
    pub reference: Option<String>,
    /// Labels, without repetitions, as a JSON array; None if there are none.
    pub labels: Option<Labels>,
}

/// The labels of a schedule: at least one, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(Vec<String>);

impl Labels {
    /// Returns the labels of a column, if it has any.
    pub fn of_column(column: Option<&str>) -> Option<Self> {
        Some(Self(labels_of(column))).filter(|labels| !labels.0.is_empty())
    }

    /// Returns the value of the column.
    pub fn to_column(&self) -> String {
        json!(self.0).to_string()
    }
}

/// Returns the labels of a column.
pub fn labels_of(column: Option<&str>) -> Vec<String> {
    // The API has written it, so it is well formed.
    column
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default()
}

impl Names {
    /// Reads the fields `name`, `reference` and `labels`.
    pub fn read(fields: &mut Fields) -> Self {
        Self {
            name: name(fields),
            reference: reference(fields),
            labels: labels(fields),
        }
    }

    /// Reads only the field `name`.
    pub fn read_name(fields: &mut Fields) -> Option<String> {
        name(fields)
    }

    /// Returns the schema of the field `name`.
    pub fn name_schema() -> Value {
        let [(_, schema), ..] = schemas();
        schema
    }
}

/// The names to change; `None` leaves one as it is, and null removes it.
#[derive(Clone, Debug, Default)]
pub struct NamesEdit {
    /// The new name, or none.
    pub name: Option<Option<String>>,
    /// The new reference, or none.
    pub reference: Option<Option<String>>,
    /// The new labels, or none.
    pub labels: Option<Option<Labels>>,
}

impl NamesEdit {
    /// Reads the fields `name`, `reference` and `labels`.
    pub fn read(fields: &mut Fields) -> Self {
        Self {
            name: fields.nullable("name", name),
            reference: fields.nullable("reference", reference),
            labels: labels_edit(fields),
        }
    }

    /// Returns whether it changes anything.
    pub const fn is_given(&self) -> bool {
        self.name.is_some() || self.reference.is_some() || self.labels.is_some()
    }
}

fn name(fields: &mut Fields) -> Option<String> {
    line(fields, "name", LONGEST_NAME)
}

fn reference(fields: &mut Fields) -> Option<String> {
    line(fields, "reference", LONGEST_WORD)
}

/// Reads a field of one line of text.
fn line(fields: &mut Fields, name: &'static str, longest: usize) -> Option<String> {
    let given = fields.text(name)?;
    if is_line(&given, longest) {
        return Some(given);
    }
    fields.complain(name, "not-a-name", expected_line(longest));
    None
}

/// Spaces around a text are not accepted, because the database compares some texts without them.
fn is_line(text: &str, longest: usize) -> bool {
    text.trim() == text
        && !text.is_empty()
        && text.chars().count() <= longest
        && !text.chars().any(char::is_control)
        && !text.contains(char::REPLACEMENT_CHARACTER)
}

fn expected_line(longest: usize) -> String {
    format!("expected 1 to {longest} characters on one line, without spaces around them")
}

/// Reads the field `labels` of a change: an empty array has the same effect as null.
pub fn labels_edit(fields: &mut Fields) -> Option<Option<Labels>> {
    let is_given = !fields.is_absent("labels") || fields.is_null("labels");
    let labels = labels(fields);
    is_given.then_some(labels)
}

/// Reads the field `labels`; an empty array is none.
pub fn labels(fields: &mut Fields) -> Option<Labels> {
    let expected = format!("an array of up to {MOST_LABELS} labels");
    let given: Vec<String> = fields.read_as("labels", &expected)?;
    let mut labels: Vec<String> = Vec::new();
    if given.len() > MOST_LABELS {
        fields.complain("labels", "too-many", format!("expected {expected}"));
        return None;
    }
    for label in given {
        if !is_line(&label, LONGEST_WORD) {
            fields.complain("labels", "not-a-name", expected_line(LONGEST_WORD));
            return None;
        }
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    Some(Labels(labels)).filter(|labels| !labels.0.is_empty())
}

/// Returns the schemas of the fields that [`Names::read`] reads.
pub fn schemas() -> [(&'static str, Value); 3] {
    [
        ("name", line_schema(LONGEST_NAME, "What people call it.")),
        (
            "reference",
            line_schema(
                LONGEST_WORD,
                "What your system calls it; need not be unique.",
            ),
        ),
        (
            "labels",
            labels_schema("By which it is found together with others."),
        ),
    ]
}

/// Returns the schema of labels.
pub fn labels_schema(text: &str) -> Value {
    json!({"type": "array", "maxItems": MOST_LABELS, "items": line_schema(LONGEST_WORD, "A label."), "description": text})
}

fn line_schema(longest: usize, text: &str) -> Value {
    // Without a control character, and without white space at either end.
    json!({"type": "string", "minLength": 1, "maxLength": longest, "pattern": r"^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?$", "description": text})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (Names, Vec<(String, &'static str)>) {
        let mut fields = Fields::read(body.as_bytes()).unwrap();
        let names = Names::read(&mut fields);
        let errors = fields.finish();
        let errors = errors.into_iter().map(|error| (error.field, error.code));
        (names, errors.collect())
    }

    #[test]
    fn names_are_read_as_they_are_given() {
        let (names, errors) = read(
            r#"{"name": "Penang, July", "reference": "Ü-17", "labels": ["penang", "a b", "penang"]}"#,
        );
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(names.name.as_deref(), Some("Penang, July"));
        assert_eq!(names.reference.as_deref(), Some("Ü-17"));
        let column = names.labels.unwrap().to_column();
        assert_eq!(column, r#"["penang","a b"]"#);
        assert_eq!(labels_of(Some(&column)), ["penang", "a b"]);
        assert_eq!(read(r#"{"labels": []}"#).0, Names::default());
    }

    #[test]
    fn a_name_that_could_not_be_found_again_is_refused() {
        let long = "x".repeat(65);
        for text in ["", " a", "a ", "a\\nb", "\\u0000", &long, "\u{fffd}"] {
            for body in [
                format!(r#"{{"reference": "{text}"}}"#),
                format!(r#"{{"labels": ["ok", "{text}"]}}"#),
            ] {
                let (_, errors) = read(&body);
                assert_eq!(errors.len(), 1, "{body}");
                assert_eq!(errors[0].1, "not-a-name", "{body}");
            }
        }
        let labels: Vec<_> = (0..21).map(|n| n.to_string()).collect();
        let (_, errors) = read(&json!({"labels": labels}).to_string());
        assert_eq!(errors, [("labels".to_owned(), "too-many")]);
    }

    #[test]
    fn null_removes_a_name_and_an_absent_field_leaves_it() {
        let edit = |body: &str| NamesEdit::read(&mut Fields::read(body.as_bytes()).unwrap());
        assert!(!edit("{}").is_given());
        for body in [
            r#"{"name": null}"#,
            r#"{"labels": null}"#,
            r#"{"labels": []}"#,
        ] {
            assert!(edit(body).is_given(), "{body}");
        }
        assert_eq!(edit(r#"{"labels": null}"#).labels, Some(None));
        assert_eq!(edit(r#"{"labels": []}"#).labels, Some(None));
    }
}
