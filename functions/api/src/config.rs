//! The configuration of the API, from environment variables.

use std::time::Duration;

use axum::http::HeaderValue;
use chrono::TimeDelta;
use shared::{
    carrier::registry::{Adapter, adapter_from_env},
    events::{self, target::AllowedTargets},
    message::phone::{ALLOWED_COUNTRIES, ALLOWED_NUMBER_TYPES, AllowedCountries, AllowedTypes},
    platform::{
        config::{DatabaseSource, Env},
        metrics::Metrics,
        run_time::RunTimeConfig,
    },
};
use url::Url;

use crate::{
    auth::{
        issuer::IssuerConfig,
        limits::Rate,
        second_factor::RequiredOf,
        tokens::{KeySource, key_source},
    },
    http::edge::proof_source,
    resources::{
        receipts::secrets::secret_source,
        schedules::{approval::rule::ApprovalRule, forecast::DeploymentCapacity},
    },
};

/// The configuration. The template describes each variable.
#[expect(missing_docs, reason = "the fields have the names of the variables")]
pub struct Config {
    pub database: DatabaseSource,
    pub dispatch_queue_url: String,
    pub recheck_queue_url: String,
    pub notify_queue_url: String,
    pub webhook_keys: KeySource,
    pub webhook_targets: AllowedTargets,
    pub dispatch_arn: String,
    pub schedule_group: String,
    pub scheduler_role_arn: String,
    pub schedule_dlq_arn: Option<String>,
    pub stack: String,
    pub metrics_namespace: Option<String>,
    pub dead_letter_queues: Vec<(String, String)>,
    pub dispatch_lead: Duration,
    pub quiet_time: TimeDelta,
    pub carrier_adapter: &'static Adapter,
    pub capacity: DeploymentCapacity,
    pub countries: AllowedCountries,
    /// The types of numbers to which messages may be sent.
    pub number_types: AllowedTypes,
    pub approval: ApprovalRule,
    pub commit: String,
    pub key_source: KeySource,
    pub callback_secrets: Option<KeySource>,
    pub issuer: Option<IssuerConfig>,
    pub local_login: bool,
    pub rate: Rate,
    pub second_factor: RequiredOf,
    pub cors_origins: Vec<HeaderValue>,
    pub run_time: RunTimeConfig,
    pub origin_proof: Option<KeySource>,
}

impl Config {
    /// Reads the configuration. The error names all wrong variables at once.
    pub fn from_env() -> anyhow::Result<Self> {
        let mut env = Env::from_process();
        let config = Self::read(&mut env);
        env.finish(config)
    }

    /// Reads the configuration; [`Env::finish`] returns what is wrong.
    pub fn read(env: &mut Env) -> Self {
        Self {
            database: env.app_database(),
            dispatch_queue_url: env.url("DISPATCH_QUEUE_URL"),
            recheck_queue_url: env.url("RECHECK_QUEUE_URL"),
            notify_queue_url: env.url("NOTIFY_QUEUE_URL"),
            webhook_keys: events::keys::key_source(env),
            webhook_targets: AllowedTargets::from_env(env),
            dispatch_arn: env.text("DISPATCH_FUNCTION_ARN"),
            schedule_group: env.text("SCHEDULE_GROUP"),
            scheduler_role_arn: env.text("SCHEDULER_ROLE_ARN"),
            schedule_dlq_arn: env.optional("SCHEDULE_DLQ_ARN", "the ARN of a queue"),
            stack: env.text("STACK_NAME"),
            metrics_namespace: Metrics::namespace(env),
            dead_letter_queues: dead_letter_queues(env),
            dispatch_lead: env.seconds("DISPATCH_LEAD_S", 1..=900, Some(90)),
            quiet_time: TimeDelta::seconds(
                env.number("UNCERTAIN_QUIET_S", 1..=86_400, Some(300))
                    .into(),
            ),
            carrier_adapter: adapter_from_env(env),
            capacity: DeploymentCapacity::from_env(env),
            countries: allowed_countries(env),
            number_types: number_types(env),
            approval: ApprovalRule::from_env(env),
            key_source: key_source(env),
            callback_secrets: secret_source(env),
            issuer: IssuerConfig::read(env),
            local_login: local_login(env),
            rate: Rate {
                per_minute: env.number("REQUESTS_PER_MINUTE", 1..=1_000_000, Some(600)),
            },
            second_factor: second_factor(env),
            cors_origins: cors_origins(env),
            run_time: RunTimeConfig::from_env(env, "api"),
            origin_proof: proof_source(env),
            commit: env.text_or("GIT_COMMIT", "text", "unknown"),
        }
    }
}

/// Reads the names and URLs of the dead-letter queues: `send=https://…,recheck=https://…`.
fn dead_letter_queues(env: &mut Env) -> Vec<(String, String)> {
    const NAME: &str = "DEAD_LETTER_QUEUES";
    const EXPECTED: &str = "expected names and URLs, such as send=https://…,recheck=https://…";
    let Some(given) = env.optional(NAME, "names and URLs of queues, such as send=https://…")
    else {
        return env
            .report(NAME, format!("is missing; {EXPECTED}"))
            .unwrap_or_default();
    };
    let read = |queue: &str| {
        let (name, url) = queue.trim().split_once('=')?;
        let is_url = url.starts_with("http://") || url.starts_with("https://");
        (is_url && !name.is_empty()).then(|| (name.to_owned(), url.to_owned()))
    };
    let queues: Option<Vec<_>> = given.split(',').map(read).collect();
    queues.unwrap_or_else(|| {
        env.report(NAME, format!("is `{given}`; {EXPECTED}"))
            .unwrap_or_default()
    })
}

/// Reads the countries to which messages may be sent: none unless they are named.
fn allowed_countries(env: &mut Env) -> AllowedCountries {
    const NAME: &str = "ALLOWED_COUNTRIES";
    let given = env.optional(NAME, ALLOWED_COUNTRIES).unwrap_or_default();
    AllowedCountries::parse(&given).unwrap_or_else(|unknown| {
        let found = format!("has `{unknown}`; expected {ALLOWED_COUNTRIES}");
        env.report(NAME, found).unwrap_or_default()
    })
}

/// Reads the types of numbers to which messages may be sent: those of people unless it is set.
fn number_types(env: &mut Env) -> AllowedTypes {
    const NAME: &str = "ALLOWED_NUMBER_TYPES";
    let Some(given) = env.optional(NAME, ALLOWED_NUMBER_TYPES) else {
        return AllowedTypes::default();
    };
    AllowedTypes::parse(&given).unwrap_or_else(|unknown| {
        let found = format!("has `{unknown}`; expected {ALLOWED_NUMBER_TYPES}");
        env.report(NAME, found).unwrap_or_default()
    })
}

/// Reads whether accounts of this API can log in. Without an issuer nobody else could.
fn local_login(env: &mut Env) -> bool {
    const NAME: &str = "LOCAL_LOGIN";
    let is_on = env.choice(NAME, &["true", "false"]) == "true";
    let issuer = env.optional("OIDC_ISSUER", "the URL of an OpenID provider");
    if !is_on && issuer.is_none() {
        let found = "is `false` without OIDC_ISSUER, so that nobody could log in".to_owned();
        return env.report(NAME, found).unwrap_or(true);
    }
    is_on
}

/// Reads who needs a second factor: nobody unless it is set.
fn second_factor(env: &mut Env) -> RequiredOf {
    const NAME: &str = "SECOND_FACTOR";
    let Some(given) = env.optional(NAME, RequiredOf::EXPECTED) else {
        return RequiredOf::default();
    };
    RequiredOf::parse(&given).unwrap_or_else(|| {
        let found = format!("is `{given}`; expected {}", RequiredOf::EXPECTED);
        env.report(NAME, found).unwrap_or_default()
    })
}

/// Reads the allowed origins: `https://console.example.com,https://…`. Without origins, browsers
/// refuse cross-origin calls.
fn cors_origins(env: &mut Env) -> Vec<HeaderValue> {
    const NAME: &str = "CORS_ORIGINS";
    let origins = "origins such as https://console.example.com, separated by commas";
    let given = env.optional(NAME, origins).unwrap_or_default();
    let read = |origin: &str| {
        let url = Url::parse(origin)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))?;
        // The notation of browsers: no path, no trailing slash.
        (url.origin().ascii_serialization() == origin)
            .then(|| HeaderValue::from_str(origin).ok())
            .flatten()
    };
    let allowed: Option<Vec<_>> = given
        .split(',')
        .map(str::trim)
        .filter(|origin| !origin.is_empty())
        .map(read)
        .collect();
    let expected = format!("expected {origins}, without a path");
    allowed.unwrap_or_else(|| {
        env.report(NAME, format!("is `{given}`; {expected}"))
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_variables_are_named_at_once() {
        let mut env = Env::from_pairs([("DISPATCH_LEAD_S", "0"), ("STACK_NAME", "sms")]);
        let config = Config::read(&mut env);
        let error = env.finish(config).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        for name in [
            "DATABASE_URL",
            "DISPATCH_QUEUE_URL",
            "RECHECK_QUEUE_URL",
            "NOTIFY_QUEUE_URL",
            "WEBHOOK_KEYS",
            "DISPATCH_FUNCTION_ARN",
            "SCHEDULE_GROUP",
            "SCHEDULER_ROLE_ARN",
        ] {
            assert!(
                error.contains(&format!("{name} is missing")),
                "{name} is not in: {error}"
            );
        }
        assert!(
            error.contains("DISPATCH_LEAD_S is `0`; expected a whole number from 1 to 900"),
            "{error}"
        );
        assert!(error.contains("DEAD_LETTER_QUEUES is missing"), "{error}");
        assert!(
            !error.contains("GIT_COMMIT")
                && !error.contains("SCHEDULE_DLQ_ARN")
                && !error.contains("STACK_NAME"),
            "{error}"
        );
    }

    #[test]
    fn dead_letter_queues_are_names_and_urls() {
        let read = |given: &str| {
            let mut env = Env::from_pairs([("DEAD_LETTER_QUEUES", given)]);
            let queues = dead_letter_queues(&mut env);
            env.finish(queues).ok()
        };
        let pair = |name: &str, url: &str| (name.to_owned(), url.to_owned());
        assert_eq!(
            read("send=https://sqs/1/a, dispatch-events=http://sqs/b"),
            Some(vec![
                pair("send", "https://sqs/1/a"),
                pair("dispatch-events", "http://sqs/b")
            ])
        );
        for wrong in [
            "",
            "send",
            "=https://x",
            "send=arn:aws:sqs",
            "send=https://x,",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_country_is_allowed_unless_it_is_named() {
        let read = |given: &str| {
            let mut env = Env::from_pairs([("ALLOWED_COUNTRIES", given)]);
            let countries = allowed_countries(&mut env);
            let countries = env.finish(countries).map_err(|error| error.to_string());
            countries.map(|countries| countries.to_string())
        };
        assert_eq!(read("").unwrap(), "no country");
        assert_eq!(read("my, SG").unwrap(), "MY, SG");
        assert_eq!(read("*").unwrap(), "all countries");
        let error = read("MY,XX").unwrap_err();
        assert!(error.contains("ALLOWED_COUNTRIES has `XX`"), "{error}");
    }
}
