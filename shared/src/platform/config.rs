//! Configuration: read from the environment once, before the runtime starts. Every wrong variable is named at once, with what
//! was expected, so that a deployment is mended in one go. No URL and no secret has a default.

use std::{collections::HashMap, fmt::Display, ops::RangeInclusive, time::Duration};

use anyhow::{bail, ensure};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

/// A reader that collects what is wrong instead of stopping at the first variable. Its getters return a stand-in for what is
/// wrong; [`Env::finish`] makes sure that nobody sees it.
pub struct Env {
    variables: HashMap<String, String>,
    wrong: Vec<String>,
}

/// Where the database is and who connects.
pub enum DatabaseSource {
    /// `mysql://user:password@host:port/database`
    Url(SecretString),
    /// A secret in the shape that RDS writes, read when the function starts.
    SecretArn(String),
}

/// Where keys are: those that sign access tokens, or those that the webhooks' secrets are made of.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// In the environment itself.
    Fixed(SecretString),
    /// In a secret, under this ARN.
    SecretArn(String),
}

/// A key for HMAC, and the name by which what it made is known.
#[derive(Debug, Deserialize)]
pub struct NamedKey {
    /// Up to 64 characters.
    pub kid: String,
    /// At least 32 bytes: shorter ones are weaker than the hash (RFC 7518, section 3.2).
    pub key: SecretString,
}

/// Reads `{"kid":"…","key":"…"}`, or an array of such: the first makes, all verify. No error shows a key.
pub fn read_keys(json: &str) -> anyhow::Result<Vec<NamedKey>> {
    const KEY_BYTES: usize = 32;
    // Long enough for a name and a date, and as long as `webhooks.key_id`.
    const KID_CHARS: usize = 64;
    let is_array = json.trim_start().starts_with('[');
    let read = if is_array {
        serde_json::from_str(json)
    } else {
        serde_json::from_str(json).map(|key| vec![key])
    };
    // The parser's own words may quote what it read.
    let Ok(keys) = read else {
        bail!("expected JSON such as {{\"kid\":\"…\",\"key\":\"…\"}}, or an array of such")
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
            "key {position}: its kid is taken already"
        );
    }
    Ok(keys)
}

impl Env {
    /// The environment of this process.
    pub fn from_process() -> Self {
        Self::from_pairs(std::env::vars())
    }

    /// An environment of given variables; a variable set to nothing counts as missing.
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
            wrong: Vec::new(),
        }
    }

    /// A variable that may be missing.
    pub fn optional(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    /// A variable that has to be there, as it is.
    pub fn text(&mut self, name: &str) -> String {
        let value = self.optional(name);
        value.unwrap_or_else(|| self.complain(name, "is missing").unwrap_or_default())
    }

    /// An absolute http or https URL.
    pub fn url(&mut self, name: &str) -> String {
        let Some(value) = self.optional(name) else {
            return self
                .complain(name, "is missing; expected an http or https URL")
                .unwrap_or_default();
        };
        match Url::parse(&value) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => value,
            _ => self
                .complain(name, "is not an absolute http or https URL")
                .unwrap_or_default(),
        }
    }

    /// A whole number within `range`; `default` where the variable is missing, and where there is none it has to be there.
    pub fn number(&mut self, name: &str, range: RangeInclusive<u32>, default: Option<u32>) -> u32 {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        match (self.optional(name), default) {
            (None, Some(default)) => default,
            (None, None) => self
                .complain(name, format!("is missing; expected {expected}"))
                .unwrap_or_default(),
            (Some(value), _) => match value.trim().parse() {
                Ok(number) if range.contains(&number) => number,
                _ => self
                    .complain(name, format!("is `{value}`; expected {expected}"))
                    .unwrap_or_default(),
            },
        }
    }

    /// Whole seconds, as [`Env::number`].
    pub fn seconds(
        &mut self,
        name: &str,
        range: RangeInclusive<u32>,
        default: Option<u32>,
    ) -> Duration {
        Duration::from_secs(self.number(name, range, default).into())
    }

    /// A comma-separated list of whole seconds, each from 1 to 86400, at least one.
    pub fn seconds_list(&mut self, name: &str) -> Vec<Duration> {
        let expected = "seconds from 1 to 86400, separated by commas, such as 10,30,60";
        let Some(value) = self.optional(name) else {
            self.complain::<()>(name, format!("is missing; expected {expected}"));
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
                self.complain::<()>(name, format!("is `{value}`; expected {expected}"));
                Vec::new()
            })
    }

    /// One of the given words, the first where the variable is missing.
    pub fn choice<'a>(&mut self, name: &str, words: &[&'a str]) -> &'a str {
        let Some(value) = self.optional(name) else {
            return words[0];
        };
        let found = words.iter().copied().find(|word| *word == value.trim());
        found.unwrap_or_else(|| {
            self.complain::<()>(
                name,
                format!("is `{value}`; expected one of: {}", words.join(", ")),
            );
            words[0]
        })
    }

    /// `true` or `false`, false where the variable is missing.
    pub fn flag(&mut self, name: &str) -> bool {
        self.choice(name, &["false", "true"]) == "true"
    }

    /// The database: exactly one of a URL and the ARN of a secret.
    pub fn database(&mut self, url: &str, arn: &str) -> DatabaseSource {
        match (self.optional(url), self.optional(arn)) {
            (Some(value), None)
                if Url::parse(&value)
                    .is_ok_and(|u| u.scheme() == "mysql" && u.path().len() > 1) =>
            {
                DatabaseSource::Url(value.into())
            }
            (None, Some(value)) if value.starts_with("arn:") => DatabaseSource::SecretArn(value),
            (given_url, given_arn) => {
                // The value is not shown: it holds a password.
                let problem = match (given_url, given_arn) {
                    (Some(_), None) => {
                        "is not of the form mysql://user:password@host:port/database".to_owned()
                    }
                    (None, Some(_)) => format!("is missing, and {arn} is not an ARN"),
                    (Some(_), Some(_)) => format!("and {arn} are both set; expected one of them"),
                    (None, None) => format!("is missing; expected it, or {arn}"),
                };
                self.complain::<()>(url, problem);
                DatabaseSource::Url(String::new().into())
            }
        }
    }

    /// Keys: exactly one of them, as `check` wants them, and the ARN of a secret. What `check` says must show no key.
    pub fn key_source(
        &mut self,
        keys: &str,
        arn: &str,
        check: impl FnOnce(&str) -> anyhow::Result<()>,
    ) -> KeySource {
        let problem = match (self.optional(keys), self.optional(arn)) {
            (Some(given), None) => match check(&given) {
                Ok(()) => return KeySource::Fixed(given.into()),
                Err(error) => format!("is not as expected: {error}"),
            },
            (None, Some(given)) if given.starts_with("arn:") => return KeySource::SecretArn(given),
            (None, Some(_)) => format!("is missing, and {arn} is not an ARN"),
            (Some(_), Some(_)) => format!("and {arn} are both set; expected one of them"),
            (None, None) => format!("is missing; expected it, or {arn}"),
        };
        self.complain::<()>(keys, problem);
        KeySource::Fixed(String::new().into())
    }

    /// Notes a problem that concerns more than the form of one variable.
    pub fn complain<T>(&mut self, name: &str, problem: impl Display) -> Option<T> {
        self.wrong.push(format!("{name} {problem}"));
        None
    }

    /// The configuration, or every problem at once.
    pub fn finish<T>(self, config: T) -> anyhow::Result<T> {
        if !self.wrong.is_empty() {
            bail!(
                "the environment is not as this function needs it:\n  {}",
                self.wrong.join("\n  ")
            );
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_variable_is_named_at_once() {
        let mut env = Env::from_pairs([
            ("A_URL", "not a url"),
            ("N", "17x"),
            ("BIG", "901"),
            ("DELAYS", "5,,7"),
            ("FORM", "soap"),
            ("EMPTY", " "),
            ("DATABASE_URL", "mysql://u:secret@h/"),
        ]);
        env.url("A_URL");
        env.number("N", 1..=100, Some(5));
        env.number("BIG", 0..=900, None);
        env.seconds_list("DELAYS");
        env.choice("FORM", &["bare", "alaris"]);
        env.text("EMPTY");
        env.database("DATABASE_URL", "DATABASE_SECRET_ARN");
        let message = env.finish(()).unwrap_err().to_string();
        for name in [
            "A_URL",
            "N is `17x`",
            "BIG is `901`",
            "DELAYS",
            "FORM",
            "EMPTY is missing",
            "DATABASE_URL",
        ] {
            assert!(message.contains(name), "{name} is not in: {message}");
        }
        assert!(!message.contains("secret@"), "a password shows: {message}");
    }

    #[test]
    fn what_is_right_is_read() {
        let mut env = Env::from_pairs([
            ("U", "http://127.0.0.1:1/api"),
            ("D", "1, 2,900"),
            ("DATABASE_URL", "mysql://u:p@h:1/sms"),
        ]);
        assert_eq!(env.url("U"), "http://127.0.0.1:1/api");
        assert_eq!(env.seconds_list("D"), [1, 2, 900].map(Duration::from_secs));
        assert_eq!(env.number("MISSING", 1..=9, Some(3)), 3);
        assert!(!env.flag("MISSING"));
        assert!(matches!(
            env.database("DATABASE_URL", "DATABASE_SECRET_ARN"),
            DatabaseSource::Url(_)
        ));
        env.finish(()).unwrap();
    }

    #[test]
    fn a_database_needs_exactly_one_source() {
        for pairs in [
            vec![],
            vec![
                ("DATABASE_URL", "mysql://u@h/d"),
                ("DATABASE_SECRET_ARN", "arn:aws:x"),
            ],
            vec![("DATABASE_SECRET_ARN", "x")],
        ] {
            let mut env = Env::from_pairs(pairs);
            env.database("DATABASE_URL", "DATABASE_SECRET_ARN");
            assert!(env.finish(()).is_err());
        }
    }
}
