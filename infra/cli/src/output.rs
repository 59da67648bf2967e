//! What is printed: answers on standard output, progress and failures on standard error.

use std::io::{self, IsTerminal, Write};

use serde_json::{Value, json};

use crate::failure::Failure;

/// Characters of a progress bar.
const WIDTH: u64 = 30;

/// How answers are printed.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// As JSON, not as text.
    pub json: bool,
}

impl Output {
    /// Prints an answer: as JSON, or as this text.
    pub fn answer(self, answer: &Value, text: impl FnOnce() -> String) {
        let text = if self.json {
            answer.to_string()
        } else {
            text()
        };
        // A reader that has gone, such as `head`, needs no more.
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// Prints a note for people; JSON needs none.
    pub fn note(self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// Prints why a command failed.
    pub fn failure(self, failure: &Failure) {
        if !self.json {
            eprintln!("sms: {failure}");
            return;
        }
        let document = match failure {
            Failure::Refused(problem) => {
                let mut document = problem.document.clone();
                if !document.is_object() {
                    document = json!({"status": problem.status, "title": failure.to_string()});
                }
                if !problem.notes.is_empty() {
                    document["notes"] = json!(problem.notes);
                }
                document
            }
            Failure::Usage(text) => json!({"title": "Wrong usage", "detail": text}),
            Failure::Unreachable(text) => json!({"title": "Not reachable", "detail": text}),
        };
        eprintln!("{document}");
    }
}

/// A progress bar on a terminal; a line every ten percent elsewhere.
pub struct Progress {
    is_terminal: bool,
    is_shown: bool,
    last: Option<String>,
}

impl Progress {
    /// Starts a bar. JSON needs none.
    pub fn new(output: Output) -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            is_shown: !output.json,
            last: None,
        }
    }

    /// Shows `done` of `total`, and a text.
    pub fn show(&mut self, done: u64, total: u64, text: &str) {
        let line = if self.is_terminal {
            bar(done, total, text)
        } else {
            format!("{} %", percent(done, total) / 10 * 10)
        };
        if !self.is_shown || self.last.as_ref() == Some(&line) {
            return;
        }
        if self.is_terminal {
            // The rest of the line before is erased.
            eprint!("\r{line}\x1b[K");
        } else {
            eprintln!("{done} of {total} {text}");
        }
        self.last = Some(line);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown && self.is_terminal && self.last.is_some() {
            eprintln!();
        }
    }
}

fn percent(done: u64, total: u64) -> u64 {
    (done * 100).checked_div(total).unwrap_or(100)
}

fn bar(done: u64, total: u64, text: &str) -> String {
    let percent = percent(done, total).min(100);
    let filled = (percent * WIDTH / 100) as usize;
    let empty = WIDTH as usize - filled;
    format!(
        "[{}{}] {percent:>3} % {done} of {total} {text}",
        "#".repeat(filled),
        ".".repeat(empty)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        let half = format!("[{}{}]  50 % 1 of 2 sent", "#".repeat(15), ".".repeat(15));
        assert_eq!(bar(1, 2, "sent"), half);
        assert!(bar(0, 0, "").starts_with(&format!("[{}]", "#".repeat(30))));
        assert!(bar(9, 3, "").contains("100 %"));
    }
}
