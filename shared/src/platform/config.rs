//! Configuration, read from the environment once, before the runtime starts.
//!
//! All wrong variables are reported together, with what was expected, so that a deployment is
//! corrected in one step. URLs and secrets have no default.

mod database;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    ops::RangeInclusive,
    time::Duration,
};

use anyhow::{bail, ensure};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

pub use self::database::{DatabaseAddress, DatabaseSecret, DatabaseSource, MYSQL_PORT};

/// A reader of the environment that collects problems instead of stopping at the first. For a wrong
/// variable a getter returns a placeholder, which [`Env::finish`] turns into an error.
pub struct Env {
    variables: HashMap<String, String>,
    problems: Vec<String>,
    settings: BTreeMap<String, Setting>,
}

/// What a function expects of a variable: a line of the table in `docs/configuration.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The values that it accepts.
    pub expected: String,
    /// The value if it is missing; `None`: none, or the function does not start without it.
    pub default: Option<String>,
}

/// The source of keys: those that sign access tokens, or those from which webhook secrets are
/// derived.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The value, from the environment.
    Fixed(SecretString),
    /// The ARN of a secret.
    SecretArn(String),
}

/// A key for HMAC, and the id that its signatures carry.
#[derive(Debug, Deserialize)]
pub struct NamedKey {
    /// The id, up to 64 characters.
    pub kid: String,
    /// The key, at least 32 bytes: a shorter key is weaker than the hash (RFC 7518, section 3.2).
    pub key: SecretString,
}

/// Reads `{"kid":"…","key":"…"}`, or an array of them: the first signs, all verify. No error
/// contains a key.
pub fn read_keys(json: &str) -> anyhow::Result<Vec<NamedKey>> {
    const KEY_BYTES: usize = 32;
    // Enough for a name and a date, and the width of `webhooks.key_id`.
    const KID_CHARS: usize = 64;
    let is_array = json.trim_start().starts_with('[');
    let read = if is_array {
        serde_json::from_str(json)
    } else {
        serde_json::from_str(json).map(|key| vec![key])
    };
    // The message of the parser may quote its input.
    let Ok(keys) = read else {
        bail!("expected JSON such as {{\"kid\":\"…\",\"key\":\"…\"}}, or an array of them")
    };
    let keys: Vec<NamedKey> = keys;
    ensure!(!keys.is_empty(), "expected at least one key");
    for (position, NamedKey { kid, key }) in keys.iter().enumerate() {
        ensure!(
            (1..=KID_CHARS).contains(&kid.chars().count()),
            "key {position}: expected a kid of 1 to {KID_CHARS} characters"
        );
        ensure!(
            key.expose_secret().len() >= KEY_BYTES,
            "key {position}: expected at least {KEY_BYTES} bytes"
        );
        ensure!(
            keys[..position].iter().all(|other| other.kid != *kid),
            "key {position}: another key has the same kid"
        );
    }
    Ok(keys)
}

impl Env {
    /// Reads the environment of this process.
    pub fn from_process() -> Self {
        Self::from_pairs(std::env::vars())
    }

    /// Returns an environment of the given variables; an empty variable counts as missing.
    pub fn from_pairs(
        pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let variables = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self {
            variables: variables
                .filter(|(_, value): &(_, String)| !value.trim().is_empty())
                .collect(),
            problems: Vec::new(),
            settings: BTreeMap::new(),
        }
    }

    /// Returns what was expected of each variable so far.
    pub const fn settings(&self) -> &BTreeMap<String, Setting> {
        &self.settings
    }

    /// Notes what is expected of a variable, and its default.
    fn note(&mut self, name: &str, expected: impl Into<String>, default: Option<String>) {
        let expected = expected.into();
        let setting = Setting { expected, default };
        self.settings.insert(name.to_owned(), setting);
    }

    fn given(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    /// Returns a variable that may be missing; the caller checks whether it is as `expected`.
    pub fn optional(&mut self, name: &str, expected: &str) -> Option<String> {
        self.note(name, expected, None);
        self.given(name)
    }

    /// Like [`Env::optional`], with a default.
    pub fn text_or(&mut self, name: &str, expected: &str, default: &str) -> String {
        self.note(name, expected, Some(default.to_owned()));
        self.given(name).unwrap_or_else(|| default.to_owned())
    }

    /// Returns a required variable, unchanged.
    pub fn text(&mut self, name: &str) -> String {
        self.note(name, "text", None);
        let value = self.given(name);
        value.unwrap_or_else(|| self.report(name, "is missing").unwrap_or_default())
    }

    /// Returns a required variable that is an absolute http or https URL.
    pub fn url(&mut self, name: &str) -> String {
        self.note(name, "an absolute http or https URL", None);
        let Some(value) = self.given(name) else {
            return self
                .report(name, "is missing; expected an http or https URL")
                .unwrap_or_default();
        };
        match Url::parse(&value) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => value,
            _ => self
                .report(name, "is not an absolute http or https URL")
                .unwrap_or_default(),
        }
    }

    /// Returns a whole number within `range`, or `default` if the variable is missing; without a
    /// default the variable is required.
    pub fn number(&mut self, name: &str, range: RangeInclusive<u32>, default: Option<u32>) -> u32 {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.note(name, &expected, default.map(|default| default.to_string()));
        match (self.given(name), default) {
            (None, Some(default)) => default,
            (None, None) => self
                .report(name, format!("is missing; expected {expected}"))
                .unwrap_or_default(),
            (Some(value), _) => match value.trim().parse() {
                Ok(number) if range.contains(&number) => number,
                _ => self
                    .report(name, format!("is `{value}`; expected {expected}"))
                    .unwrap_or_default(),
            },
        }
    }

    /// Returns a number of whole seconds, like [`Env::number`].
    pub fn seconds(
        &mut self,
        name: &str,
        range: RangeInclusive<u32>,
        default: Option<u32>,
    ) -> Duration {
        Duration::from_secs(self.number(name, range, default).into())
    }

    /// Returns a comma-separated list of whole seconds, each from 1 to 86400, at least one.
    pub fn seconds_list(&mut self, name: &str) -> Vec<Duration> {
        let expected = "seconds from 1 to 86400, separated by commas, such as 10,30,60";
        self.note(name, expected, None);
        let Some(value) = self.given(name) else {
            self.report::<()>(name, format!("is missing; expected {expected}"));
            return Vec::new();
        };
        let seconds = value.split(',').map(|part| {
            part.trim()
                .parse::<u64>()
                .ok()
                .filter(|s| (1..=86_400).contains(s))
        });
        seconds
            .map(|second| second.map(Duration::from_secs))
            .collect::<Option<_>>()
            .unwrap_or_else(|| {
                self.report::<()>(name, format!("is `{value}`; expected {expected}"));
                Vec::new()
            })
    }

    /// Returns one of `choices`, the first if the variable is missing.
    pub fn choice<'a>(&mut self, name: &str, choices: &[&'a str]) -> &'a str {
        let expected = format!("one of: {}", choices.join(", "));
        self.note(name, &expected, Some(choices[0].to_owned()));
        let Some(value) = self.given(name) else {
            return choices[0];
        };
        let found = choices
            .iter()
            .copied()
            .find(|choice| *choice == value.trim());
        found.unwrap_or_else(|| {
            self.report::<()>(name, format!("is `{value}`; expected {expected}"));
            choices[0]
        })
    }

    /// Returns `true` or `false`, the latter if the variable is missing.
    pub fn flag(&mut self, name: &str) -> bool {
        self.choice(name, &["false", "true"]) == "true"
    }

    /// Returns keys, from exactly one of a value that `check` accepts and the ARN of a secret. The
    /// error of `check` must not contain a key.
    pub fn key_source(
        &mut self,
        keys: &str,
        arn: &str,
        check: impl FnOnce(&str) -> anyhow::Result<()>,
    ) -> KeySource {
        self.note(keys, format!("keys or secrets as JSON, or {arn}"), None);
        self.note(
            arn,
            format!("the ARN of a secret with them, or {keys}"),
            None,
        );
        let problem = match (self.given(keys), self.given(arn)) {
            (Some(given), None) => match check(&given) {
                Ok(()) => return KeySource::Fixed(given.into()),
                Err(error) => format!("is not as expected: {error}"),
            },
            (None, Some(given)) if given.starts_with("arn:") => return KeySource::SecretArn(given),
            (None, Some(_)) => format!("is missing, and {arn} is not an ARN"),
            (Some(_), Some(_)) => format!("and {arn} are both set; expected one of them"),
            (None, None) => format!("is missing; expected it, or {arn}"),
        };
        self.report::<()>(keys, problem);
        KeySource::Fixed(String::new().into())
    }

    /// Records a problem with a variable.
    pub fn report<T>(&mut self, name: &str, problem: impl Display) -> Option<T> {
        self.problems.push(format!("{name} {problem}"));
        None
    }

    /// Returns the configuration, or all problems in one error.
    pub fn finish<T>(self, config: T) -> anyhow::Result<T> {
        if !self.problems.is_empty() {
            bail!(
                "the environment is not as this function requires:\n  {}",
                self.problems.join("\n  ")
            );
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests;
