//! The configuration of send, from environment variables.

use shared::{
    batch::worker::WorkerConfig,
    platform::{config::Env, metrics::Metrics, run_time::ConfigurationName},
};

use crate::Settings;

/// The configuration.
pub struct Config {
    /// The clients.
    pub worker: WorkerConfig,
    /// Limits.
    pub settings: Settings,
    /// Where values are that change at run time.
    pub run_time: Option<ConfigurationName>,
    /// Where metrics are written, if they are.
    pub metrics_namespace: Option<String>,
}

impl Config {
    /// Reads the configuration; [`Env::finish`] returns what is wrong.
    pub fn read(env: &mut Env) -> Self {
        Self {
            worker: WorkerConfig::from_env(env),
            settings: Settings::from_env(env),
            run_time: ConfigurationName::from_env(env),
            metrics_namespace: Metrics::namespace(env),
        }
    }
}
