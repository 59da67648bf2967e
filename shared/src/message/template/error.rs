//! Why a message is not a template, and why a text cannot be rendered.

use std::fmt;

use super::{MAX_PARTS, MAX_TEMPLATE};

/// Why a message is not a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// The beginning of the text that follows two opening braces.
    Placeholder(String),
    /// A name that the template language reserves.
    Reserved(String),
    /// The message is too long.
    TooLong,
}

impl TemplateError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Placeholder(_) | Self::Reserved(_) => "bad-variable",
            Self::TooLong => "too-long",
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placeholder(found) => write!(
                f,
                "expected a variable such as {{{{name}}}} or {{{{name|default('friend')}}}}, with the filters default, upper, lower, title, \
                 capitalize, trim, or {{{{'{{{{'}}}} for the braces themselves; found `{found}`"
            ),
            Self::Reserved(name) => write!(
                f,
                "expected another name than `{name}`, which the template language reserves"
            ),
            Self::TooLong => write!(
                f,
                "expected at most {MAX_TEMPLATE} bytes of a message with variables"
            ),
        }
    }
}

/// Why the text of a recipient cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderError {
    /// A variable that the recipient lacks.
    Missing(String),
    /// The text takes this many parts.
    TooLong(usize),
    /// The text became much too long, and its rendering was stopped.
    Stopped,
    /// The text is only white space.
    Empty,
    /// The error of the engine.
    Failed(String),
}

impl RenderError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing-variable",
            Self::TooLong(_) | Self::Stopped => "text-too-long",
            Self::Empty => "text-empty",
            Self::Failed(_) => "text-failed",
        }
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => {
                write!(f, "expected the variable `{name}`, which the message uses")
            }
            Self::TooLong(parts) => write!(
                f,
                "expected at most {MAX_PARTS} parts; with these variables the text takes {parts}"
            ),
            Self::Stopped => write!(
                f,
                "expected at most {MAX_PARTS} parts; with these variables the text takes many more"
            ),
            Self::Empty => f.write_str(
                "expected a text that is not only white space; with these variables it is",
            ),
            Self::Failed(why) => write!(f, "the text cannot be rendered: {why}"),
        }
    }
}

impl std::error::Error for RenderError {}
