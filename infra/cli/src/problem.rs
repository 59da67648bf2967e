//! The API's problem documents (RFC 9457), for people.

use std::fmt;

use serde_json::Value;

/// Errors of a list that are shown, at most.
const SHOWN: usize = 20;

/// A refusal.
#[derive(Debug)]
pub struct Problem {
    /// The status of the answer.
    pub status: u16,
    /// The document; null if the answer had none.
    pub document: Value,
    /// Where the positions of the errors are in the file.
    pub positions: Option<Positions>,
    /// What the failed command leaves behind.
    pub notes: Vec<String>,
}

/// How the positions of one call are those of a file that was sent in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// Lines at the beginning of the call that are those of the file's beginning.
    pub head: u64,
    /// What is added to the others.
    pub offset: u64,
    /// Whether positions are lines; otherwise they are indexes from 0.
    pub are_lines: bool,
}

impl Positions {
    /// Returns the place in the file.
    pub const fn place(&self, position: u64) -> u64 {
        if position <= self.head && self.are_lines {
            position
        } else {
            position + self.offset
        }
    }

    /// Returns the place in the file, for people.
    pub fn describe(&self, position: u64) -> String {
        let place = self.place(position);
        if self.are_lines {
            format!("line {place}")
        } else {
            format!("entry {}", place + 1)
        }
    }
}

impl Problem {
    /// Reads an answer that is no success.
    pub fn read(status: u16, body: &str) -> Self {
        Self {
            status,
            document: serde_json::from_str(body).unwrap_or_default(),
            positions: None,
            notes: Vec::new(),
        }
    }

    /// Returns whether the problem is of this type, such as `run-at-past`.
    pub fn is(&self, slug: &str) -> bool {
        let kind = self.document["type"].as_str();
        kind.and_then(|kind| kind.strip_prefix("/problems/")) == Some(slug)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name: &str| self.document[name].as_str();
        let title = text("title").unwrap_or("The API refused the request");
        write!(f, "{title} ({})", self.status)?;
        if let Some(detail) = text("detail") {
            write!(f, ": {detail}")?;
        }
        let errors = self.document["errors"].as_array();
        let errors = errors.map_or(&[][..], Vec::as_slice);
        for error in errors.iter().take(SHOWN) {
            write!(f, "\n  {}", self.error(error))?;
        }
        let total = self.document["errors_total"].as_u64();
        let total = total.unwrap_or(errors.len() as u64);
        let shown = errors.len().min(SHOWN) as u64;
        if total > shown {
            write!(f, "\n  … and {} more", total - shown)?;
        }
        if let Some(possible) = self.document["possible"].as_array() {
            let possible: Vec<_> = possible.iter().filter_map(Value::as_str).collect();
            write!(f, "\n  possible now: {}", possible.join(", "))?;
        }
        for note in &self.notes {
            write!(f, "\n{note}")?;
        }
        Ok(())
    }
}

impl Problem {
    fn error(&self, error: &Value) -> String {
        describe(
            error,
            self.positions.unwrap_or(Positions {
                are_lines: true,
                ..Positions::default()
            }),
        )
    }
}

/// Returns one error, or one refused entry, in a line.
pub fn describe(error: &Value, positions: Positions) -> String {
    let text = |name: &str| error[name].as_str().filter(|text| !text.is_empty());
    let place = match error["position"].as_u64() {
        Some(position) => positions.describe(position),
        None => text("field").unwrap_or("request").to_owned(),
    };
    let input = text("input").map(|input| format!(" “{input}”"));
    let suggestion = text("suggestion").map(|number| format!(" (did you mean {number}?)"));
    let detail = text("detail").unwrap_or("not valid");
    let (input, suggestion) = (input.unwrap_or_default(), suggestion.unwrap_or_default());
    format!("{place}{input}: {detail}{suggestion}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = r#"{"type": "/problems/invalid-request", "title": "The request is not valid",
        "status": 422, "detail": "30 errors; nothing was written", "errors_total": 30, "errors": [
        {"field": "run_at", "code": "past", "detail": "expected a time in the future"},
        {"field": "recipients", "code": "too-short", "detail": "expected more digits", "position": 3,
            "input": "12", "suggestion": "+6012"}]}"#;

    #[test]
    fn a_problem_says_what_is_wrong_and_where() {
        let mut problem = Problem::read(422, REFUSED);
        assert!(problem.is("invalid-request"));
        problem.positions = Some(Positions {
            head: 1,
            offset: 1000,
            are_lines: true,
        });
        problem.notes.push("nothing is sent".to_owned());
        assert_eq!(
            problem.to_string(),
            "The request is not valid (422): 30 errors; nothing was written\n  \
             run_at: expected a time in the future\n  \
             line 1003 “12”: expected more digits (did you mean +6012?)\n  \
             … and 28 more\nnothing is sent"
        );
    }

    #[test]
    fn an_answer_without_a_document_has_its_status() {
        let problem = Problem::read(413, "<html>");
        assert_eq!(problem.to_string(), "The API refused the request (413)");
    }

    #[test]
    fn an_index_is_counted_from_one_for_people() {
        let positions = Positions {
            head: 0,
            offset: 0,
            are_lines: false,
        };
        assert_eq!(positions.describe(0), "entry 1");
    }
}
