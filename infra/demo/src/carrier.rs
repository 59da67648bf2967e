//! The carrier's limit during a run: set at the simulator, which answers 429 beyond it, and over the
//! API, unless the system has to learn it. Both are set back at the end of the run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::MySqlPool;
use tokio::task::JoinHandle;

use crate::api::Api;

/// The simulator's setting that limits the message parts per second.
const PARTS_SETTING: &str = "capacity_parts";
/// The time between two readings of the simulator's counts.
const INTERVAL: Duration = Duration::from_secs(1);

/// The counts of the simulator: `GET /stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Submit requests, including refused ones.
    pub requests: u64,
    /// Submit requests that were refused, by cause.
    pub refused: BTreeMap<String, u64>,
    /// Message parts that were accepted in each of the last ten full seconds, oldest first.
    pub acceptances_per_second: Vec<u64>,
}

impl Counts {
    /// Returns how many requests were answered 429.
    pub fn busy(&self) -> u64 {
        ["busy", "busy_parts"]
            .iter()
            .filter_map(|cause| self.refused.get(*cause))
            .sum()
    }
}

/// A carrier with a limit.
pub struct LimitedCarrier {
    client: reqwest::Client,
    origin: String,
    api: Api,
    /// The limit in message parts per second.
    pub limit: u32,
    /// Whether the system has to learn the limit.
    pub is_learned: bool,
    setting_before: Value,
    counts_before: Counts,
    line: Arc<Mutex<String>>,
    poller: Option<JoinHandle<()>>,
}

/// The parts of the stack that a limit concerns.
pub struct Sides<'a> {
    /// The HTTP client for the simulator.
    pub client: &'a reqwest::Client,
    /// The simulator's origin.
    pub origin: &'a str,
    /// The API.
    pub api: &'a Api,
    /// The database.
    pub pool: &'a MySqlPool,
}

impl LimitedCarrier {
    /// Sets the limit. With `is_learned` the API gets none, and what the system has learned before
    /// is deleted.
    pub async fn set(sides: &Sides<'_>, limit: u32, is_learned: bool) -> anyhow::Result<Self> {
        let mut carrier = Self {
            client: sides.client.clone(),
            origin: sides.origin.to_owned(),
            api: sides.api.clone(),
            limit,
            is_learned,
            setting_before: Value::Null,
            counts_before: Counts::default(),
            line: Arc::default(),
            poller: None,
        };
        carrier.setting_before = carrier.settings(None).await?[PARTS_SETTING].clone();
        if carrier.setting_before.is_null() {
            bail!("the simulator has no setting {PARTS_SETTING}");
        }
        carrier
            .settings(Some(json!({PARTS_SETTING: limit})))
            .await?;
        let configured = (!is_learned).then_some(limit);
        if let Err(error) = carrier.configure(sides.pool, configured).await {
            carrier.restore().await;
            return Err(error);
        }
        carrier.counts_before = counts(&carrier.client, &carrier.origin).await?;
        carrier.poller = Some(carrier.start_poller());
        Ok(carrier)
    }

    async fn configure(&self, pool: &MySqlPool, configured: Option<u32>) -> anyhow::Result<()> {
        self.api.limit_carrier(configured).await?;
        if configured.is_none() {
            let sql =
                "UPDATE carrier_limits SET learned_per_second = NULL, ceiling_per_second = NULL
                       WHERE carrier = 'main' AND kind = 'submit'";
            sqlx::query(sql)
                .execute(pool)
                .await
                .context("deleting the learned limit")?;
        }
        Ok(())
    }

    /// Changes the simulator's settings, if any are given, and returns all of them.
    async fn settings(&self, patch: Option<Value>) -> anyhow::Result<Value> {
        let url = format!("{}/settings", self.origin);
        let call = match &patch {
            Some(patch) => self.client.patch(&url).json(patch),
            None => self.client.get(&url),
        };
        let answer = call.send().await.with_context(|| url.clone())?;
        let (status, body) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("{url} returned {status}: {body}");
        }
        serde_json::from_str(&body).with_context(|| format!("unexpected response of {url}"))
    }

    /// Reads the simulator's counts regularly, for the live view.
    fn start_poller(&self) -> JoinHandle<()> {
        let (client, origin) = (self.client.clone(), self.origin.clone());
        let (limit, before, line) = (self.limit, self.counts_before.clone(), self.line.clone());
        tokio::spawn(async move {
            loop {
                if let Ok(now) = counts(&client, &origin).await {
                    *line.lock().unwrap_or_else(PoisonError::into_inner) =
                        describe(limit, &before, &now);
                }
                tokio::time::sleep(INTERVAL).await;
            }
        })
    }

    /// Returns the text about the limit for the live view.
    pub fn line(&self) -> String {
        self.line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns how many requests there were since the limit was set, and how many of them were
    /// answered 429.
    pub async fn requests(&self) -> anyhow::Result<Requests> {
        let now = counts(&self.client, &self.origin).await?;
        Ok(Requests {
            all: now.requests.saturating_sub(self.counts_before.requests),
            busy: now.busy().saturating_sub(self.counts_before.busy()),
        })
    }

    /// Sets the simulator's limit back, and removes the one over the API. An error is only printed.
    pub async fn restore(mut self) {
        if let Some(poller) = self.poller.take() {
            poller.abort();
        }
        let patch = json!({PARTS_SETTING: self.setting_before});
        for result in [
            self.settings(Some(patch)).await.map(drop),
            self.api.limit_carrier(None).await,
        ] {
            if let Err(error) = result {
                eprintln!("demo: the carrier's limit is not set back: {error:#}");
            }
        }
    }
}

/// Submit requests during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// All of them.
    pub all: u64,
    /// Those that were answered 429.
    pub busy: u64,
}

async fn counts(client: &reqwest::Client, origin: &str) -> anyhow::Result<Counts> {
    let url = format!("{origin}/stats");
    let answer = client.get(&url).send().await?.error_for_status()?;
    answer.json().await.with_context(|| url)
}

/// Describes the last full second, and all requests so far.
fn describe(limit: u32, before: &Counts, now: &Counts) -> String {
    let parts = now.acceptances_per_second.last().copied().unwrap_or(0);
    let requests = now.requests.saturating_sub(before.requests);
    let busy = now.busy().saturating_sub(before.busy());
    format!(
        "carrier {parts} of {limit} parts/s ({:.0} %), {busy} of {requests} requests answered 429",
        parts as f64 * 100.0 / f64::from(limit.max(1))
    )
}

#[cfg(test)]
mod tests {
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

    use super::*;

    /// Answers GET and PATCH of a path.
    async fn answer(server: &MockServer, called: &str, body: Value) {
        Mock::given(path(called))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(server)
            .await;
    }

    /// Returns the bodies of the PATCH calls of a path.
    async fn patches(server: &MockServer, called: &str) -> Vec<Value> {
        let requests = server.received_requests().await.unwrap();
        requests
            .iter()
            .filter(|request| request.method.as_str() == "PATCH" && request.url.path() == called)
            .map(|request| request.body_json().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn the_limit_is_set_at_both_sides_and_set_back() {
        let server = MockServer::start().await;
        answer(&server, "/settings", json!({PARTS_SETTING: 7})).await;
        answer(&server, "/stats", json!({"requests": 3})).await;
        answer(&server, "/v1/carriers/main", json!({})).await;
        let client = crate::api::http_client().unwrap();
        let api = Api::new(client.clone(), &server.uri(), "key").unwrap();
        let sides = Sides {
            client: &client,
            origin: &server.uri(),
            api: &api,
            // Not used, because nothing is to be learned.
            pool: &MySqlPool::connect_lazy("mysql://127.0.0.1:1/x").unwrap(),
        };
        let carrier = LimitedCarrier::set(&sides, 1000, false).await.unwrap();
        assert_eq!(carrier.requests().await.unwrap(), Requests::default());
        carrier.restore().await;
        assert_eq!(
            patches(&server, "/settings").await,
            [json!({PARTS_SETTING: 1000}), json!({PARTS_SETTING: 7})]
        );
        assert_eq!(
            patches(&server, "/v1/carriers/main").await,
            [
                json!({"parts_per_second": 1000}),
                json!({"parts_per_second": null})
            ]
        );
    }

    #[test]
    fn the_line_shows_the_last_second_and_the_requests_since_the_start() {
        let before = Counts {
            requests: 10,
            refused: BTreeMap::from([("busy".to_owned(), 2)]),
            acceptances_per_second: Vec::new(),
        };
        let now = Counts {
            requests: 110,
            refused: BTreeMap::from([
                ("busy".to_owned(), 2),
                ("busy_parts".to_owned(), 1),
                ("no_routes".to_owned(), 9),
            ]),
            acceptances_per_second: vec![1000, 990],
        };
        assert_eq!(
            describe(1000, &before, &now),
            "carrier 990 of 1000 parts/s (99 %), 1 of 100 requests answered 429"
        );
    }
}
