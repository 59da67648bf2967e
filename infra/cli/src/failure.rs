//! Why a command failed, and its exit code: 1 the API refused it, 2 wrong usage or a file that cannot
//! be read, 3 the API is not reachable or too busy, 4 the schedule did not end complete.

use std::{fmt, io};

use crate::problem::Problem;

/// The exit code of a schedule that did not end complete, or not in time.
pub const INCOMPLETE: u8 = 4;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The API refused the request.
    Refused(Box<Problem>),
    /// The options, or a file, are wrong.
    Usage(String),
    /// No answer, or one that says that the API cannot answer now.
    Unreachable(String),
}

impl Failure {
    /// Returns the exit code.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }

    /// Adds to the message what the failed command leaves behind.
    pub fn with_note(self, note: &str) -> Self {
        match self {
            Self::Refused(mut problem) => {
                problem.notes.push(note.to_owned());
                Self::Refused(problem)
            }
            Self::Usage(text) => Self::Usage(format!("{text}\n{note}")),
            Self::Unreachable(text) => Self::Unreachable(format!("{text}\n{note}")),
        }
    }

    /// Returns the failure of a local file.
    pub fn file(name: &str, error: &io::Error) -> Self {
        Self::Usage(format!("{name}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(problem) => problem.fmt(f),
            Self::Usage(text) | Self::Unreachable(text) => f.write_str(text),
        }
    }
}
