//! Personal texts: a message with `{{name}}` in it is made for each recipient from the variables that came with the number. The engine is
//! minijinja; of its language a message may use variables and a few filters, which anybody can read, and which can't run away.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::LazyLock,
};

use minijinja::{Environment, UndefinedBehavior, Value, syntax::SyntaxConfig};
use regex::Regex;

use crate::message::text::{self, MAX_PARTS};

/// What came with a number: values by name. Names are in lower case, as they are not told apart by case.
pub type Variables = BTreeMap<String, String>;

/// Bytes of JSON that a recipient's variables may take.
pub const MAX_VARIABLES: usize = 4_096;
/// Bytes of a message that is a template.
pub const MAX_TEMPLATE: usize = 10_000;
/// What opens a variable.
const OPEN: &str = "{{";

/// A variable with filters, or two braces in quotes, which is how a text says that it means the braces themselves.
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    let name = "(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})";
    let default = r#"default\(\s*(?:'[^'\\{}]*'|"[^"\\{}]*")\s*\)"#;
    let filters =
        format!(r"(?P<filters>(?:\s*\|\s*(?:upper|lower|title|capitalize|trim|{default}))*)");
    let pattern = format!(r#"^\{{\{{\s*(?:{name}{filters}|'\{{\{{'|"\{{\{{")\s*\}}\}}"#);
    #[expect(
        clippy::expect_used,
        reason = "a constant, which every test of this file compiles"
    )]
    Regex::new(&pattern).expect("a pattern")
});

/// A message with variables.
pub struct Template {
    environment: Environment<'static>,
    /// As they are written, by their names in lower case.
    names: BTreeMap<String, BTreeSet<String>>,
    /// Those that stand somewhere without a default.
    needed: BTreeSet<String>,
}

/// Why a message is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// What follows two opening braces: the beginning of it.
    Placeholder(String),
    /// Names that mean something else.
    Reserved(String),
    /// Longer than it may be.
    TooLong,
}

impl TemplateError {
    /// For programs.
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
                "expected another name than `{name}`, which the template language keeps for itself"
            ),
            Self::TooLong => write!(
                f,
                "expected at most {MAX_TEMPLATE} bytes of a message with variables"
            ),
        }
    }
}

/// Why a recipient's text can't be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonalError {
    /// A variable that did not come with the number.
    Missing(String),
    /// The text takes so many parts.
    TooLong(usize),
    /// The text is nothing but white space.
    Empty,
    /// The engine's own words.
    Failed(String),
}

impl PersonalError {
    /// For programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing-variable",
            Self::TooLong(_) => "text-too-long",
            Self::Empty => "text-empty",
            Self::Failed(_) => "text-failed",
        }
    }
}

impl fmt::Display for PersonalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => {
                write!(f, "expected the variable `{name}`, which the message uses")
            }
            Self::TooLong(parts) => write!(
                f,
                "expected at most {MAX_PARTS} parts; with these variables the text takes {parts}"
            ),
            Self::Empty => f.write_str(
                "expected a text that is more than white space; with these variables it is not",
            ),
            Self::Failed(why) => write!(f, "the text can't be made: {why}"),
        }
    }
}

impl std::error::Error for PersonalError {}

/// The text for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personal {
    /// The text.
    pub text: String,
    /// Its parts.
    pub parts: u16,
}

impl Template {
    /// The message as a template; none: it has no variables, and is the same for all.
    pub fn parse(message: &str) -> Result<Option<Self>, TemplateError> {
        if !message.contains(OPEN) {
            return Ok(None);
        }
        if message.len() > MAX_TEMPLATE {
            return Err(TemplateError::TooLong);
        }
        let (names, needed) = names(message)?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(variables_only());
        environment
            .add_template_owned("text", message.to_owned())
            .map_err(|error| TemplateError::Placeholder(error.to_string()))?;
        let template = Self {
            environment,
            names,
            needed,
        };
        template.refuse_reserved()?;
        Ok(Some(template))
    }

    /// The names that it uses, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// A word such as `true` reads as a name, and is none to the engine.
    fn refuse_reserved(&self) -> Result<(), TemplateError> {
        let known = self
            .environment
            .get_template("text")
            .map(|text| text.undeclared_variables(false))
            .unwrap_or_default();
        match self
            .names
            .values()
            .flatten()
            .find(|name| !known.contains(*name))
        {
            Some(name) => Err(TemplateError::Reserved(name.clone())),
            None => Ok(()),
        }
    }

    /// The text for whom these variables came with.
    pub fn render(&self, variables: &Variables) -> Result<Personal, PersonalError> {
        if let Some(missing) = self
            .needed
            .iter()
            .find(|name| !variables.contains_key(*name))
        {
            return Err(PersonalError::Missing(missing.clone()));
        }
        let values = self
            .names
            .iter()
            .filter_map(|(name, written)| Some((written, variables.get(name)?)));
        let context: BTreeMap<String, Value> = values
            .flat_map(|(written, value)| {
                written
                    .iter()
                    .map(move |name| (name.clone(), Value::from(value)))
            })
            .collect();
        let text = self
            .environment
            .get_template("text")
            .and_then(|text| text.render(context));
        let text = text.map_err(|error| PersonalError::Failed(error.to_string()))?;
        if text.trim().is_empty() {
            return Err(PersonalError::Empty);
        }
        match text::parts(&text).parts {
            parts if parts > MAX_PARTS => Err(PersonalError::TooLong(parts)),
            parts => Ok(Personal {
                text,
                parts: parts as u16,
            }),
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

type Names = (BTreeMap<String, BTreeSet<String>>, BTreeSet<String>);

/// The names that a message uses, and which of them need a value.
fn names(message: &str) -> Result<Names, TemplateError> {
    let (mut names, mut needed) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeSet::new());
    let mut rest = message;
    while let Some(at) = rest.find(OPEN) {
        rest = &rest[at..];
        let found = PLACEHOLDER
            .captures(rest)
            .ok_or_else(|| TemplateError::Placeholder(rest.chars().take(40).collect()))?;
        if let Some(name) = found.name("name") {
            let name = name.as_str();
            names
                .entry(name.to_ascii_lowercase())
                .or_default()
                .insert(name.to_owned());
            if !found
                .name("filters")
                .is_some_and(|filters| filters.as_str().contains("default("))
            {
                needed.insert(name.to_ascii_lowercase());
            }
        }
        rest = &rest[found[0].len()..];
    }
    Ok((names, needed))
}

/// Nothing but variables: what else the engine knows is opened by characters that a message can't be posted with a sense for.
fn variables_only() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax
        .block_delimiters("\u{1}{%", "%}\u{1}")
        .comment_delimiters("\u{1}{#", "#}\u{1}")
        .keep_trailing_newline(true);
    syntax.build().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_text_is_made_from_what_came_with_the_number() {
        type Case = (
            &'static str,
            &'static [(&'static str, &'static str)],
            Result<&'static str, &'static str>,
        );
        #[rustfmt::skip]
        let table: [Case; 16] = [
            ("Dear {{name}}, {{amount}} due", &[("name", "Ana"), ("amount", "1.10")], Ok("Dear Ana, 1.10 due")),
            ("{{Name}} {{ NAME }} {{name}}", &[("name", "Ana")], Ok("Ana Ana Ana")),
            ("{{name|default('friend')}}", &[], Ok("friend")),
            ("{{ name | trim | default(\"you, there\") | upper }}", &[("name", " ana ")], Ok("ANA")),
            ("{{name|default('')}}{{name}}", &[], Err("missing-variable")),
            ("{{default}}", &[], Err("missing-variable")),
            ("{{default|upper}}", &[("default", "x")], Ok("X")),
            ("{{name}}", &[("nam", "x")], Err("missing-variable")),
            ("{{name}}", &[("name", " ")], Err("text-empty")),
            ("a{{'{{'}}name}} {% if %} {# no #} }} 5 % {", &[], Ok("a{{name}} {% if %} {# no #} }} 5 % {")),
            // What is in a variable is never looked at again, and nothing is escaped.
            ("{{name}}", &[("name", "{{other}} <b>&\"'\\\u{1}{% x %}\u{1}")], Ok("{{other}} <b>&\"'\\\u{1}{% x %}\u{1}")),
            ("x{{name}}\n", &[("name", "\n")], Ok("x\n\n")),
            ("  {{ name|title }}  ", &[("name", "ana maria")], Ok("  Ana Maria  ")),
            ("{{name|capitalize}}{{name|lower}}", &[("name", "ANA")], Ok("Anaana")),
            ("{{name}}", &[("name", "漢字")], Ok("漢字")),
            ("{{_a1}}", &[("_a1", "x")], Ok("x")),
        ];
        for (message, given, expected) in table {
            let template = Template::parse(message).unwrap().unwrap();
            let made = template.render(&variables(given));
            assert_eq!(
                made.map(|made| made.text).map_err(|error| error.code()),
                expected.map(str::to_owned),
                "{message}"
            );
        }
        assert!(Template::parse("Hello { {name} } }}").unwrap().is_none());
    }

    #[test]
    fn what_is_more_than_a_variable_is_refused() {
        let bad = "{{}} | {{ | {{name | {{name}{ | {{1a}} | {{a.b}} | {{a b}} | {{a|safe}} | {{a|upper()}} | {{a*9}} | {{a~b}} | {{'x'}} | {{-a}} \
            | {{a|default(b)}} | {{a|default('}}')}} | {{ä}} | {{a[0]}} | {{range(9)}} | {{{a}}} | {{a|default('\\')}}";
        for message in bad.split(" | ") {
            assert_eq!(
                Template::parse(message).unwrap_err().code(),
                "bad-variable",
                "{message}"
            );
        }
        for name in ["true", "none", "not"] {
            let error = Template::parse(&format!("{{{{{name}}}}}")).unwrap_err();
            assert_eq!(error.code(), "bad-variable", "{name}");
        }
        assert_eq!(
            Template::parse(&format!("{{{{a}}}}{}", "x".repeat(10_000))).unwrap_err(),
            TemplateError::TooLong
        );
    }

    #[test]
    fn parts_are_those_of_the_text_that_is_sent() {
        let template = Template::parse("{{text}}").unwrap().unwrap();
        let parts = |text: String| {
            template
                .render(&variables(&[("text", &text)]))
                .map(|made| made.parts)
        };
        assert_eq!(
            (
                parts("a".repeat(160)),
                parts("a".repeat(161)),
                parts("漢".repeat(71))
            ),
            (Ok(1), Ok(2), Ok(2))
        );
        assert_eq!(parts("a".repeat(1_530)), Ok(10));
        assert_eq!(parts("a".repeat(1_531)), Err(PersonalError::TooLong(11)));
    }

    proptest! {
        /// Whatever somebody writes: it is refused, or made, and never panics; and what is made has every value as it was given.
        #[test]
        fn any_message_is_refused_or_made(message in "([a-c|'\"(){}%# ]|\\{\\{|\\}\\}|default|\\PC){0,40}", value in "\\PC{1,20}") {
            if let Ok(Some(template)) = Template::parse(&message) {
                let given: Variables = template.names().map(|name| (name.to_owned(), value.clone())).collect();
                match template.render(&given) {
                    Ok(made) => prop_assert!(made.parts >= 1),
                    Err(error) => prop_assert!(error == PersonalError::Empty, "{error}"),
                }
            }
        }

        #[test]
        fn a_value_stands_in_the_text_as_it_was_given(before in "[^{]{0,20}", value in "\\PC{0,40}", after in "[^{]{0,20}") {
            let template = Template::parse(&format!("{before}x{{{{ v }}}}{after}")).unwrap().unwrap();
            prop_assert_eq!(template.render(&variables(&[("v", &value)])).unwrap().text, format!("{before}x{value}{after}"));
        }
    }
}
