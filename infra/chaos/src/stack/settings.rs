//! The settings of the carrier, of the network and of the database server.
//!
//! A fault changes settings only with [`StackSettings::during`], which restores the previous
//! values. A fault therefore cannot leave the stack in another state than the one in which it found
//! it.

use std::panic::AssertUnwindSafe;

use anyhow::{Context, anyhow};
use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use sqlx::MySqlPool;

use crate::server::Server;

/// Values that differ from the normal ones for an interval.
#[derive(Clone, Debug)]
pub enum Change {
    /// These settings of the carrier simulator, a JSON object.
    Carrier(Value),
    /// These settings of the proxy of that server, a JSON object.
    Network(Server, Value),
    /// A global variable of the database server. Its name and value become part of a statement.
    DatabaseVariable(&'static str, i64),
}

/// Access to the settings of the stack.
pub struct StackSettings {
    pub(super) http: reqwest::Client,
    pub(super) carrier_url: String,
    pub(super) carrier_proxy_url: String,
    pub(super) database_proxy_url: String,
    /// The database, as an administrator, not through a proxy.
    pub(super) pool: MySqlPool,
}

impl StackSettings {
    /// Runs `body` while the change is in force, then restores the previous values, even if `body`
    /// fails or panics.
    pub async fn during(
        &self,
        change: Change,
        body: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let previous = self.exchange(change).await?;
        let result = AssertUnwindSafe(body).catch_unwind().await;
        let restored = self
            .exchange(previous)
            .await
            .context("restoring the settings");
        result
            .unwrap_or_else(|_| Err(anyhow!("the injection panicked")))
            .and(restored.map(drop))
    }

    /// Sets the normal settings of the carrier, in which nothing goes wrong. They make it slow
    /// enough to be interrupted.
    pub async fn reset_carrier(&self, seed: u64) -> anyhow::Result<()> {
        let normal = Change::Carrier(json!({
            "seed": seed, "latency_ms": 300, "latency_jitter_ms": 200, "slow_ms": 0,
            "delivery_delay_ms_min": 500, "delivery_delay_ms_max": 3000,
            "undeliv_first_attempts": 0,
            "busy_429": 0.0, "retry_after_s": null, "error_5xx_before": 0.0, "partial": 0.0,
            "hang_after_accept": 0.0, "reset_after_accept": 0.0, "empty_object": 0.0,
            "empty_array": 0.0, "html": 0.0, "status_error": 0.0,
        }));
        self.exchange(normal).await.map(drop)
    }

    /// Resets every connection to a server.
    pub async fn cut_connections(&self, server: Server) -> anyhow::Result<()> {
        let url = format!("{}/cut", self.proxy_url(server));
        self.http.post(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// Makes a change. Returns the change that reverts it.
    async fn exchange(&self, change: Change) -> anyhow::Result<Change> {
        Ok(match change {
            Change::Carrier(patch) => {
                let previous = self.exchange_json(&self.carrier_url, &patch).await;
                Change::Carrier(previous.context("the simulator's settings")?)
            }
            Change::Network(server, patch) => {
                let previous = self.exchange_json(self.proxy_url(server), &patch).await;
                Change::Network(server, previous.context("the proxy's settings")?)
            }
            Change::DatabaseVariable(name, value) => {
                let read = format!("SELECT CAST(@@GLOBAL.{name} AS SIGNED)");
                let previous = sqlx::query_scalar(&read).fetch_one(&self.pool).await?;
                sqlx::raw_sql(&format!("SET GLOBAL {name} = {value}"))
                    .execute(&self.pool)
                    .await?;
                Change::DatabaseVariable(name, previous)
            }
        })
    }

    /// Patches the settings below `url`. Returns the previous values of the patched fields.
    async fn exchange_json(&self, url: &str, patch: &Value) -> anyhow::Result<Value> {
        let url = format!("{url}/settings");
        let current = self.http.get(&url).send().await?.error_for_status()?;
        let current: Map<String, Value> = current.json().await?;
        let fields = patch.as_object().context("no JSON object")?;
        let previous = fields
            .keys()
            .map(|field| {
                let value = current.get(field);
                let value = value.with_context(|| format!("there is no setting {field}"))?;
                Ok((field.clone(), value.clone()))
            })
            .collect::<anyhow::Result<Map<_, _>>>()?;
        let patched = self.http.patch(&url).json(patch).send().await?;
        patched.error_for_status()?;
        Ok(Value::Object(previous))
    }

    fn proxy_url(&self, server: Server) -> &str {
        match server {
            Server::Carrier => &self.carrier_proxy_url,
            Server::Database => &self.database_proxy_url,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use proxy::{Mode, Proxy};
    use simulator::{Settings, Simulator};
    use sqlx::mysql::MySqlPoolOptions;

    use super::*;

    struct Stack {
        simulator: Simulator,
        proxy: Arc<Proxy>,
        settings: StackSettings,
    }

    impl Stack {
        async fn start() -> Self {
            let simulator = Simulator::start(Settings::default()).await.unwrap();
            let proxy = Proxy::start("127.0.0.1:1".parse().unwrap()).await.unwrap();
            let proxy = Arc::new(proxy);
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let control = format!("http://{}", listener.local_addr().unwrap());
            let router = proxy::control(Arc::clone(&proxy));
            tokio::spawn(async move { axum::serve(listener, router).await });
            let settings = StackSettings {
                http: demo::api::http_client().unwrap(),
                carrier_url: simulator.url(),
                carrier_proxy_url: control.clone(),
                database_proxy_url: control,
                pool: MySqlPoolOptions::new()
                    .connect_lazy("mysql://user@127.0.0.1:1/unused")
                    .unwrap(),
            };
            settings.reset_carrier(7).await.unwrap();
            Self {
                simulator,
                proxy,
                settings,
            }
        }

        fn state(&self) -> (Settings, Mode) {
            (self.simulator.carrier().settings(), self.proxy.mode())
        }
    }

    #[tokio::test]
    async fn previous_settings_are_restored_after_an_interval() {
        let stack = Stack::start().await;
        let before = stack.state();
        let changes = [
            Change::Carrier(json!({ "busy_429": 1.0, "retry_after_s": 2, "latency_ms": 1 })),
            Change::Network(Server::Carrier, json!({ "refuse": true })),
            Change::Network(
                Server::Database,
                json!({ "cut_after_bytes": 40, "delay_ms": 9 }),
            ),
        ];
        for change in changes {
            let body = async {
                assert_ne!(stack.state(), before, "{change:?} has no effect");
                Ok(())
            };
            stack.settings.during(change.clone(), body).await.unwrap();
            assert_eq!(stack.state(), before, "{change:?}");
        }
    }

    #[tokio::test]
    async fn previous_settings_are_restored_after_a_failure_and_after_a_panic() {
        let stack = Stack::start().await;
        let before = stack.state();
        let change = || Change::Carrier(json!({ "status_error": 1.0 }));
        let fails = async { Err(anyhow!("a failure")) };
        let error = stack.settings.during(change(), fails).await.unwrap_err();
        assert_eq!(error.to_string(), "a failure");
        assert_eq!(stack.state(), before);
        let panics = async { panic!("a panic") };
        stack.settings.during(change(), panics).await.unwrap_err();
        assert_eq!(stack.state(), before);
    }

    #[tokio::test]
    async fn intervals_can_be_nested() {
        let stack = Stack::start().await;
        let before = stack.state();
        let outer = Change::Carrier(json!({ "busy_429": 0.2 }));
        let inner = Change::Carrier(json!({ "busy_429": 0.9 }));
        let nested = async {
            stack.settings.during(inner, async { Ok(()) }).await?;
            assert!((stack.state().0.busy_429 - 0.2).abs() < f64::EPSILON);
            Ok(())
        };
        stack.settings.during(outer, nested).await.unwrap();
        assert_eq!(stack.state(), before);
    }
}
