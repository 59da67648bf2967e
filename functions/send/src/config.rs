//! The configuration of send, from environment variables.

use shared::{
    batch::worker::WorkerConfig,
    platform::{config::Env, metrics::Metrics, run_time::RunTimeConfig},
};

use crate::Settings;

/// The configuration.
pub struct Config {
    /// The clients.
    pub worker: WorkerConfig,
    /// Limits.
    pub settings: Settings,
    /// Where values are that change at run time, and where traces go.
    pub run_time: RunTimeConfig,
    /// Where metrics are written, if they are.
    pub metrics_namespace: Option<String>,
}

impl Config {
    /// Reads the configuration; [`Env::finish`] returns what is wrong.
    pub fn read(env: &mut Env) -> Self {
        Self {
            worker: WorkerConfig::from_env(env),
            settings: Settings::from_env(env),
            run_time: RunTimeConfig::from_env(env, "send"),
            metrics_namespace: Metrics::namespace(env),
        }
    }
}
