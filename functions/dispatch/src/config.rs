//! The configuration of dispatch, from environment variables.

use shared::{
    batch::admission::AdmissionSettings,
    platform::{
        config::{DatabaseSource, Env},
        metrics::Metrics,
        run_time::RunTimeConfig,
    },
};

use crate::{Settings, personal_data::PersonalDataConfig};

/// The configuration.
#[expect(missing_docs, reason = "the fields have the names of the variables")]
pub struct Config {
    pub database: DatabaseSource,
    pub send_queue_url: String,
    pub recheck_queue_url: String,
    pub notify_queue_url: String,
    pub admission: AdmissionSettings,
    pub settings: Settings,
    pub personal_data: PersonalDataConfig,
    pub run_time: RunTimeConfig,
    pub metrics_namespace: Option<String>,
}

impl Config {
    /// Reads the configuration; [`Env::finish`] returns what is wrong.
    pub fn read(env: &mut Env) -> Self {
        let admission = AdmissionSettings::from_env(env);
        Self {
            database: env.app_database(),
            send_queue_url: env.url("SEND_QUEUE_URL"),
            recheck_queue_url: env.url("RECHECK_QUEUE_URL"),
            notify_queue_url: env.url("NOTIFY_QUEUE_URL"),
            settings: Settings::from_env(env, &admission),
            personal_data: PersonalDataConfig::read(env),
            admission,
            run_time: RunTimeConfig::from_env(env, "dispatch"),
            metrics_namespace: Metrics::namespace(env),
        }
    }
}
