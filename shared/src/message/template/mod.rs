//! Templates: a message that contains `{{name}}` is rendered for each recipient from its variables.
//!
//! The engine is minijinja. A message may use only variables and a few filters of its language,
//! which are easy to read and whose work is bounded.

mod error;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    sync::LazyLock,
};

use minijinja::{Environment, UndefinedBehavior, Value, syntax::SyntaxConfig};
use regex::Regex;

pub use self::error::{RenderError, TemplateError};
use crate::message::text::{self, MAX_PARTS};

/// The variables of a recipient: values by name. Names are in lower case, since case does not
/// distinguish them.
pub type Variables = BTreeMap<String, String>;

/// The most bytes of JSON of a recipient's variables.
pub const MAX_VARIABLES: usize = 4_096;
/// The most bytes of a template.
pub const MAX_TEMPLATE: usize = 10_000;
/// More bytes than the longest text has: ten parts of 153 characters, with up to three bytes each.
const MAX_RENDERED: usize = 8_192;
/// The start of a variable.
const OPEN: &str = "{{";

/// Matches a variable with filters, or two braces in quotes, with which a text contains the braces
/// themselves.
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    let name = "(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})";
    let default = r#"default\(\s*(?:'[^'\\{}]*'|"[^"\\{}]*")\s*\)"#;
    let filters =
        format!(r"(?P<filters>(?:\s*\|\s*(?:upper|lower|title|capitalize|trim|{default}))*)");
    let pattern = format!(r#"^\{{\{{\s*(?:{name}{filters}|'\{{\{{'|"\{{\{{")\s*\}}\}}"#);
    #[expect(
        clippy::expect_used,
        reason = "a constant, which each test of this file compiles"
    )]
    Regex::new(&pattern).expect("a pattern")
});

/// A message with variables.
pub struct Template {
    environment: Environment<'static>,
    /// The spellings of each variable, by its name in lower case.
    names: BTreeMap<String, BTreeSet<String>>,
    /// The variables that occur at least once without a default.
    needed: BTreeSet<String>,
}

/// The text for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedText {
    /// The text.
    pub text: String,
    /// The number of its parts.
    pub parts: u16,
    /// Its length in septets or UTF-16 code units.
    pub units: u16,
    /// The first character that GSM 03.38 lacks, because of which it is sent as UCS-2.
    pub forced_by: Option<char>,
}

/// Returns what is the same for each recipient: a message without its variables.
pub fn fixed_text(message: &str) -> String {
    let (mut fixed, mut rest) = (String::with_capacity(message.len()), message);
    while let Some(at) = rest.find(OPEN) {
        fixed.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = PLACEHOLDER
            .find(rest)
            .map_or(OPEN.len(), |found| found.len());
        rest = &rest[length..];
    }
    fixed + rest
}

impl Template {
    /// Parses a message. Returns `None` if it has no variables, so that it is the same for each
    /// recipient.
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

    /// Returns the names of its variables, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// Refuses a name such as `true`, which the engine does not read as a variable.
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

    /// Renders the text for a recipient with these variables.
    pub fn render(&self, variables: &Variables) -> Result<RenderedText, RenderError> {
        if let Some(missing) = self
            .needed
            .iter()
            .find(|name| !variables.contains_key(*name))
        {
            return Err(RenderError::Missing(missing.clone()));
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
        let mut bounded = Bounded::default();
        let rendered = self
            .environment
            .get_template("text")
            .and_then(|text| text.render_captured_to(context, &mut bounded).map(drop));
        if bounded.is_full {
            return Err(RenderError::Stopped);
        }
        rendered.map_err(|error| RenderError::Failed(error.to_string()))?;
        let text = String::from_utf8(bounded.text)
            .map_err(|error| RenderError::Failed(error.to_string()))?;
        if text.trim().is_empty() {
            return Err(RenderError::Empty);
        }
        let counted = text::parts(&text);
        if counted.parts > MAX_PARTS {
            return Err(RenderError::TooLong(counted.parts));
        }
        Ok(RenderedText {
            text,
            parts: counted.parts as u16,
            units: counted.units as u16,
            forced_by: counted.forced_by,
        })
    }
}

/// Collects a text, and stops its rendering when it is longer than any that is sent. A name that
/// occurs often, with a long value, would otherwise multiply a small request.
#[derive(Default)]
struct Bounded {
    text: Vec<u8>,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_full |= self.text.len() + bytes.len() > MAX_RENDERED;
        if self.is_full {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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

/// Returns the variables of a message, and which of them need a value.
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

/// Returns a syntax that has only variables: the other constructs of the engine start with control
/// characters that no sensible message contains.
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
    fn the_fixed_text_has_no_variables() {
        for (message, fixed) in [
            (
                "Hi {{name}}, it’s {{ day | default('Monday') }}!",
                "Hi , it’s !",
            ),
            ("{{a}}{{b}}", ""),
            ("no variables", "no variables"),
        ] {
            assert_eq!(fixed_text(message), fixed);
        }
    }

    #[test]
    fn the_longest_text_is_rendered_and_a_longer_one_stopped() {
        let longest = "Δ".repeat(153);
        let ten = "{{a}}".repeat(10);
        let template = Template::parse(&ten).unwrap().unwrap();
        let rendered = template.render(&variables(&[("a", &longest)])).unwrap();
        assert_eq!((rendered.parts, rendered.text.len()), (10, 3060));
        let huge = "x".repeat(100_000);
        let template = Template::parse(&"{{a}}".repeat(300)).unwrap().unwrap();
        let stopped = template.render(&variables(&[("a", &huge)]));
        assert_eq!(stopped, Err(RenderError::Stopped));
        let mut bounded = Bounded::default();
        assert!(std::io::Write::write_all(&mut bounded, huge.as_bytes()).is_err());
        assert!(bounded.text.is_empty() && bounded.is_full);
    }

    #[test]
    fn a_text_is_rendered_from_the_recipients_variables() {
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
            // The value of a variable is not interpreted again, and nothing is escaped.
            ("{{name}}", &[("name", "{{other}} <b>&\"'\\\u{1}{% x %}\u{1}")], Ok("{{other}} <b>&\"'\\\u{1}{% x %}\u{1}")),
            ("x{{name}}\n", &[("name", "\n")], Ok("x\n\n")),
            ("  {{ name|title }}  ", &[("name", "ana maria")], Ok("  Ana Maria  ")),
            ("{{name|capitalize}}{{name|lower}}", &[("name", "ANA")], Ok("Anaana")),
            ("{{name}}", &[("name", "漢字")], Ok("漢字")),
            ("{{_a1}}", &[("_a1", "x")], Ok("x")),
        ];
        for (message, given, expected) in table {
            let template = Template::parse(message).unwrap().unwrap();
            let rendered = template.render(&variables(given));
            assert_eq!(
                rendered
                    .map(|rendered| rendered.text)
                    .map_err(|error| error.code()),
                expected.map(str::to_owned),
                "{message}"
            );
        }
        assert!(Template::parse("Hello { {name} } }}").unwrap().is_none());
    }

    #[test]
    fn anything_but_variables_and_filters_is_refused() {
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
    fn parts_are_counted_in_the_rendered_text() {
        let template = Template::parse("{{text}}").unwrap().unwrap();
        let parts = |text: String| {
            template
                .render(&variables(&[("text", &text)]))
                .map(|rendered| rendered.parts)
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
        assert_eq!(parts("a".repeat(1_531)), Err(RenderError::TooLong(11)));
    }

    proptest! {
        /// Any message is refused or rendered, without a panic; the rendered text contains each
        /// value unchanged.
        #[test]
        fn any_message_is_refused_or_rendered(message in "([a-c|'\"(){}%# ]|\\{\\{|\\}\\}|default|\\PC){0,40}", value in "\\PC{1,20}") {
            if let Ok(Some(template)) = Template::parse(&message) {
                let given: Variables = template.names().map(|name| (name.to_owned(), value.clone())).collect();
                match template.render(&given) {
                    Ok(rendered) => prop_assert!(rendered.parts >= 1),
                    Err(error) => prop_assert!(error == RenderError::Empty, "{error}"),
                }
            }
        }

        #[test]
        fn the_text_contains_a_value_unchanged(before in "[^{]{0,20}", value in "\\PC{0,40}", after in "[^{]{0,20}") {
            let template = Template::parse(&format!("{before}x{{{{ v }}}}{after}")).unwrap().unwrap();
            prop_assert_eq!(template.render(&variables(&[("v", &value)])).unwrap().text, format!("{before}x{value}{after}"));
        }
    }
}
