//! The configuration of notify, from environment variables.

use shared::{
    events::{keys::key_source, target::AllowedTargets},
    platform::{
        config::{DatabaseSource, Env, KeySource},
        metrics::Metrics,
        run_time::RunTimeConfig,
    },
};

/// The configuration.
#[expect(missing_docs, reason = "the fields have the names of the variables")]
pub struct Config {
    pub database: DatabaseSource,
    pub notify_queue_url: String,
    pub webhook_keys: KeySource,
    pub webhook_targets: AllowedTargets,
    pub notify_concurrency: u32,
    pub run_time: RunTimeConfig,
    pub metrics_namespace: Option<String>,
}

impl Config {
    /// Reads the configuration; [`Env::finish`] returns what is wrong.
    pub fn read(env: &mut Env) -> Self {
        Self {
            database: env.app_database(),
            notify_queue_url: env.url("NOTIFY_QUEUE_URL"),
            webhook_keys: key_source(env),
            webhook_targets: AllowedTargets::from_env(env),
            notify_concurrency: env.number("NOTIFY_CONCURRENCY", 2..=1000, Some(5)),
            run_time: RunTimeConfig::from_env(env, "notify"),
            metrics_namespace: Metrics::namespace(env),
        }
    }
}
