//! Values that an operator changes without a deployment, from a configuration of AWS AppConfig.
//!
//! Each environment reads them when it starts, and again once a minute. If AppConfig cannot be
//! reached, the last values stay, at first those that were deployed: nothing waits for it.

mod app_config;

use std::{
    sync::{Arc, LazyLock, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use futures_util::future::join;
use serde::Deserialize;
use tokio::{sync::Mutex, time::timeout};

use self::app_config::Session;
use crate::platform::{
    config::Env,
    logs,
    traces::{TraceExporter, TraceSettings},
};

/// How long values are used before they are read again.
const FRESH_FOR: Duration = Duration::from_secs(60);
/// Values that are older, of an environment that had nothing to do, are read before work begins;
/// younger ones at the same time.
const USABLE_FOR: Duration = Duration::from_secs(300);
/// The longest wait for AppConfig.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The values. `None`: as it was deployed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct RunTimeValues {
    /// Like `CARRIER_PARTS_PER_SECOND`: 0 for none.
    pub carrier_parts_per_second: Option<u32>,
    /// Like `CARRIER_REQUESTS_PER_SECOND`: 0 for none.
    pub carrier_requests_per_second: Option<u32>,
    /// Like `CARRIER_QUERIES_PER_SECOND`: 0 for none.
    pub carrier_queries_per_second: Option<u32>,
    /// Less than `SEND_CONCURRENCY`, at least 1: see [`RunTimeValues::send_concurrency`].
    pub send_concurrency: Option<u32>,
    /// Like `REQUESTS_PER_MINUTE`, at least 1.
    pub requests_per_minute: Option<u32>,
    /// Like `BULK_ABOVE`: 0 for never.
    pub bulk_above: Option<u32>,
    /// Like `ALLOWED_COUNTRIES`.
    pub allowed_countries: Option<String>,
    /// Like `APPROVAL_ABOVE`: 0 for never.
    pub approval_above: Option<u32>,
    /// Like `APPROVAL_ROLES`.
    pub approval_roles: Option<String>,
    /// Like `RUST_LOG`.
    pub log_level: Option<String>,
}

impl RunTimeValues {
    /// Returns how many batches may be sent at the same time, of at most `deployed`: more workers
    /// than `SEND_CONCURRENCY` do not exist.
    pub fn send_concurrency(&self, deployed: u32) -> u32 {
        self.send_concurrency
            .map_or(deployed, |most| most.max(1).min(deployed))
    }
}

/// The values of this process, like its environment variables. Only [`RunTime`] changes them.
static VALUES: LazyLock<RwLock<Arc<RunTimeValues>>> = LazyLock::new(RwLock::default);

/// Returns the values that apply now.
pub fn values() -> Arc<RunTimeValues> {
    Arc::clone(&VALUES.read().unwrap_or_else(PoisonError::into_inner))
}

/// Applies new values; those that are wrong are logged and not used. Public for tests, which have
/// no AppConfig.
pub fn apply(new: RunTimeValues) {
    let old = values();
    if *old == new {
        return;
    }
    if old.log_level != new.log_level
        && let Err(error) = logs::set_level(new.log_level.as_deref())
    {
        tracing::error!(%error, "the log level of the run-time settings is wrong");
    }
    tracing::info!(values = ?new, "the run-time settings have changed");
    *VALUES.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
}

/// The name of a configuration in AppConfig.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationName {
    application: String,
    environment: String,
    profile: String,
}

impl ConfigurationName {
    /// Reads `RUN_TIME_SETTINGS`, `APPLICATION/ENVIRONMENT/PROFILE`. If it is missing, all values
    /// are as they were deployed.
    pub fn from_env(env: &mut Env) -> Option<Self> {
        const NAME: &str = "RUN_TIME_SETTINGS";
        const EXPECTED: &str = "APPLICATION/ENVIRONMENT/PROFILE of AWS AppConfig";
        let given = env.optional(NAME, EXPECTED)?;
        let mut parts = given.split('/').map(str::to_owned);
        let (application, environment, profile) = (parts.next(), parts.next(), parts.next());
        match (application, environment, profile, parts.next()) {
            (Some(application), Some(environment), Some(profile), None) => Some(Self {
                application,
                environment,
                profile,
            }),
            _ => env.report(NAME, format!("is `{given}`; expected {EXPECTED}")),
        }
    }
}

/// The configuration of what happens around each invocation.
pub struct RunTimeConfig {
    name: Option<ConfigurationName>,
    traces: TraceSettings,
}

impl RunTimeConfig {
    /// Reads the variables of [`ConfigurationName`] and of [`TraceSettings`]. `service` is the name
    /// of the function.
    pub fn from_env(env: &mut Env, service: &'static str) -> Self {
        Self {
            name: ConfigurationName::from_env(env),
            traces: TraceSettings::from_env(env, service),
        }
    }
}

/// Reads the values of this process, and exports its spans.
pub struct RunTime {
    source: Option<Mutex<Source>>,
    traces: Option<TraceExporter>,
}

struct Source {
    session: Session,
    /// When the values were read, or could not be read.
    read_at: SystemTime,
}

impl RunTime {
    /// Reads the values once. Does not fail: the deployed values apply until it succeeds.
    pub async fn open(config: RunTimeConfig) -> Self {
        let traces = TraceExporter::open(&config.traces).await;
        let Some(name) = config.name else {
            let source = None;
            return Self { source, traces };
        };
        let mut source = Source {
            session: Session::new(name).await,
            read_at: SystemTime::UNIX_EPOCH,
        };
        source.read().await;
        let source = Some(Mutex::new(source));
        Self { source, traces }
    }

    /// Does the work of an invocation with values that are a minute old at most, or five minutes if
    /// they are being read meanwhile. Then exports its spans: between invocations Lambda freezes the
    /// process.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let done = self.with_fresh_values(work).await;
        if let Some(traces) = &self.traces {
            traces.flush().await;
        }
        done
    }

    async fn with_fresh_values<T>(&self, work: impl Future<Output = T>) -> T {
        // An environment handles one invocation at a time: nothing else holds the lock for long.
        let Some(source) = &self.source else {
            return work.await;
        };
        let mut source = source.lock().await;
        let age = source.read_at.elapsed().unwrap_or(Duration::MAX);
        if age < FRESH_FOR {
            drop(source);
            return work.await;
        }
        if age < USABLE_FOR {
            return join(source.read(), work).await.1;
        }
        source.read().await;
        drop(source);
        work.await
    }
}

impl Source {
    async fn read(&mut self) {
        match timeout(READ_TIMEOUT, self.session.read()).await {
            Ok(Ok(Some(values))) => apply(values),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the run-time settings could not be read"
                );
            }
            Err(_) => tracing::warn!("the run-time settings could not be read in time"),
        }
        self.read_at = SystemTime::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_three_parts() {
        let read = |given: &str| {
            let mut env = Env::from_pairs([("RUN_TIME_SETTINGS", given)]);
            let name = ConfigurationName::from_env(&mut env);
            env.finish(name).ok()
        };
        let name = read("a1/e2/p3").flatten().unwrap();
        assert_eq!(
            [name.application, name.environment, name.profile],
            ["a1", "e2", "p3"]
        );
        assert_eq!(read(""), Some(None));
        for wrong in ["a", "a/b", "a/b/c/d"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_unknown_value_of_a_later_build_is_ignored() {
        let text = r#"{"carrier_parts_per_second": 500, "of_a_later_build": [1]}"#;
        let values: RunTimeValues = serde_json::from_str(text).unwrap();
        assert_eq!(values.carrier_parts_per_second, Some(500));
        assert_eq!(values.log_level, None);
    }

    #[test]
    fn the_send_concurrency_is_only_lowered() {
        for (set, deployed, expected) in [
            (None, 20, 20),
            (Some(5), 20, 5),
            (Some(20), 20, 20),
            (Some(1000), 20, 20),
            (Some(0), 20, 1),
            (Some(5), 1, 1),
        ] {
            let values = RunTimeValues {
                send_concurrency: set,
                ..RunTimeValues::default()
            };
            let found = values.send_concurrency(deployed);
            assert_eq!(found, expected, "{set:?} of {deployed}");
        }
    }
}
