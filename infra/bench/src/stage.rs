//! A stage: a database, a carrier and all functions, on which a scenario runs schedules.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, bail};
use chrono::{DateTime, TimeDelta, Utc};
use demo::{
    api::{Api, NewSchedule},
    list,
    post::{Posted, post},
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{MySqlPool, mysql::MySqlPoolOptions};
use uuid::Uuid;

use crate::{
    bench::Bench,
    carrier::Carrier,
    driver::{Driver, Setup},
    load::TEXT,
};

/// A list is imported for a time far away, and then moved to a time soon after its import.
const FAR: TimeDelta = TimeDelta::hours(2);
/// Nothing becomes due within this time: then a queue is idle.
const SOON: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

/// How a stage differs from the local stack.
pub struct Play<'a> {
    /// The scenario's name, for the database and the logs.
    pub name: &'a str,
    /// Variables of the functions.
    pub settings: &'a [(&'a str, &'a str)],
    /// Settings of the simulator.
    pub carrier: Value,
}

/// A running stage.
pub struct Stage {
    /// The carrier.
    pub carrier: Carrier,
    /// The functions and their queues.
    pub driver: Driver,
    /// A client of the HTTP API.
    pub api: Api,
    /// A connection to the stage's database.
    pub pool: MySqlPool,
    database: String,
}

/// The counts of recipients by status.
pub type Statuses = BTreeMap<String, i64>;

impl Stage {
    /// Creates the tables and an API key, and starts api, dispatch, send and notify. recheck starts
    /// with [`Driver::map`].
    pub async fn start(bench: &Bench, play: Play<'_>) -> anyhow::Result<Self> {
        let database = format!("sms_bench_{}", play.name.replace('-', "_"));
        let url = bench.server.create(&database).await?;
        let carrier = Carrier::start(&bench.binaries, &play.carrier).await?;
        // The limit of calls per caller is not what is measured.
        let settings = [play.settings, &[("REQUESTS_PER_MINUTE", "1000000")]].concat();
        let setup = Setup {
            binaries: &bench.binaries,
            logs: bench.state.join("logs").join(play.name),
            database: url.clone(),
            carrier: carrier.api_url(),
            settings: &settings,
        };
        let mut driver = Driver::start(&bench.deployment, setup).await?;
        let password = migrate(&driver).await?;
        driver.provide("api", 1).await?;
        for function in ["dispatch", "send", "notify"] {
            driver.map(function).await?;
        }
        // One more for the sweep and for one-time schedules, which come on no queue.
        driver.provide("dispatch", 1).await?;
        driver.sweep_every_minute()?;
        let key = api_key(driver.api_url(), &password).await?;
        let pool = MySqlPoolOptions::new().max_connections(1).connect(&url);
        Ok(Self {
            api: Api::new(demo::api::http_client()?, driver.api_url(), &key)?,
            carrier,
            driver,
            pool: pool.await?,
            database,
        })
    }

    /// Imports a list of generated numbers over the API.
    pub async fn import(&self, bench: &Bench, count: u64) -> anyhow::Result<Posted> {
        self.import_text(bench, count, TEXT).await
    }

    /// Imports a list of generated numbers for a text.
    pub async fn import_text(
        &self,
        bench: &Bench,
        count: u64,
        text: &str,
    ) -> anyhow::Result<Posted> {
        let list = list::generated(bench.numbers(count), count);
        let schedule = NewSchedule::new(Utc::now() + FAR, text, Vec::new());
        let posted = post(&self.api, schedule, list, |_| ()).await?;
        let total = posted.schedule.recipients.total;
        anyhow::ensure!(total == count, "{total} of {count} recipients");
        Ok(posted)
    }

    /// Moves a schedule to `run_at`.
    pub async fn move_to(&self, id: Uuid, run_at: DateTime<Utc>) -> anyhow::Result<()> {
        let call = self
            .api
            .request(Method::PATCH, &format!("/v1/schedules/{id}"));
        let answer = call.json(&json!({ "run_at": run_at })).send().await?;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "{status}: {}", answer.text().await?);
        Ok(())
    }

    /// Returns a time by which dispatch has certainly cut a list of this length.
    pub fn soon_after_cut(count: u64) -> DateTime<Utc> {
        Utc::now() + TimeDelta::milliseconds(4000 + count as i64 / 50)
    }

    /// Sends a schedule at `run_at`. Returns the time from then to the end of the invocation after
    /// which every message was accepted and recorded.
    pub async fn send(&mut self, id: Uuid, run_at: DateTime<Utc>) -> anyhow::Result<Duration> {
        self.move_to(id, run_at).await?;
        self.wait_sent(run_at).await
    }

    /// Waits until nothing is left to send, and returns the time since `run_at`.
    pub async fn wait_sent(&mut self, run_at: DateTime<Utc>) -> anyhow::Result<Duration> {
        while Utc::now() < run_at {
            tokio::time::sleep(POLL).await;
        }
        self.wait_until_none(&["dispatch", "send"], &["PENDING", "SENDING"])
            .await?;
        self.since(run_at, "send")
    }

    /// Returns the time from `begun` to the end of the last invocation of a function.
    pub fn since(&self, begun: DateTime<Utc>, function: &str) -> anyhow::Result<Duration> {
        let end = self.driver.function(function)?.totals().last_end;
        let end = end.with_context(|| format!("{function} was not invoked"))?;
        let took = end.duration_since(SystemTime::from(begun));
        took.with_context(|| format!("{function} ended before {begun}"))
    }

    /// Waits until the queues of these functions are idle and no recipient has one of these
    /// statuses. The database is asked only while they are idle.
    pub async fn wait_until_none(
        &mut self,
        functions: &[&str],
        statuses: &[&str],
    ) -> anyhow::Result<()> {
        let mut watch = Watch::new();
        loop {
            tokio::time::sleep(POLL).await;
            if self.driver.is_idle(functions, SOON) {
                let counts = self.statuses().await?;
                if statuses.iter().all(|status| !counts.contains_key(*status)) {
                    return self.driver.check();
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            self.check(&mut watch).await?;
        }
    }

    /// Waits until no schedule of the stage has anything left to do.
    pub async fn wait_finished(&mut self) -> anyhow::Result<()> {
        let mut watch = Watch::new();
        loop {
            // Rarely, because the statement is counted with those of the functions.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let open = "SELECT COUNT(*) FROM schedules WHERE status IN ('scheduled', 'running')";
            let open: i64 = sqlx::query_scalar(open).fetch_one(&self.pool).await?;
            if open == 0 {
                return self.driver.check();
            }
            self.check(&mut watch).await?;
        }
    }

    /// Fails if a function failed, or if nothing has happened for two minutes.
    async fn check(&mut self, watch: &mut Watch) -> anyhow::Result<()> {
        if !watch.is_due() {
            return Ok(());
        }
        self.driver.check()?;
        let stats = self.carrier.stats().await?;
        watch.progress(stats.accepted + stats.status_queries)
    }

    /// Returns the number of recipients per status.
    pub async fn statuses(&self) -> anyhow::Result<Statuses> {
        let sql = "SELECT status, COUNT(*) FROM recipients GROUP BY status";
        let rows: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().collect())
    }

    /// Fails unless all messages have this status, and each was accepted once.
    pub async fn expect(&self, status: &str, count: u64) -> anyhow::Result<()> {
        let statuses = self.statuses().await?;
        let expected = Statuses::from([(status.to_owned(), count as i64)]);
        anyhow::ensure!(statuses == expected, "{statuses:?}, expected {expected:?}");
        self.expect_accepted(count).await
    }

    /// Fails unless the carrier has accepted this number of messages.
    pub async fn expect_accepted(&self, count: u64) -> anyhow::Result<()> {
        let accepted = self.carrier.stats().await?.accepted;
        anyhow::ensure!(
            accepted == count,
            "the carrier accepted {accepted} of {count}"
        );
        Ok(())
    }

    /// Ends all processes and drops the database.
    pub async fn stop(self, bench: &Bench) -> anyhow::Result<()> {
        self.driver.stop().await;
        self.carrier.stop().await;
        self.pool.close().await;
        bench.server.drop_database(&self.database).await
    }
}

/// Notices that nothing happens any more.
struct Watch {
    checked: Instant,
    count: u64,
    changed: Instant,
}

impl Watch {
    const INTERVAL: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(120);

    fn new() -> Self {
        Self {
            checked: Instant::now(),
            count: 0,
            changed: Instant::now(),
        }
    }

    fn is_due(&mut self) -> bool {
        let due = self.checked.elapsed() >= Self::INTERVAL;
        if due {
            self.checked = Instant::now();
        }
        due
    }

    fn progress(&mut self, count: u64) -> anyhow::Result<()> {
        if count != self.count {
            (self.count, self.changed) = (count, Instant::now());
        }
        if self.changed.elapsed() > Self::LONGEST {
            bail!("the carrier has got no request for two minutes, after {count}");
        }
        Ok(())
    }
}

/// Creates the tables and an administrator; returns its temporary password.
async fn migrate(driver: &Driver) -> anyhow::Result<String> {
    let environment = driver.environment("migrate").await?;
    let function = driver.function("migrate")?;
    function.call(&json!({})).await?;
    let admin = function.call(&json!({"admin": "bench"})).await?;
    environment.stop().await;
    let password = admin["temporary_password"].as_str();
    Ok(password
        .context("migrate made no administrator")?
        .to_owned())
}

/// Logs in and returns a new API key.
async fn api_key(api: &str, password: &str) -> anyhow::Result<String> {
    let client = demo::api::http_client()?;
    let new_password = Uuid::new_v4().to_string();
    let login = json!({"username": "bench", "password": password, "new_password": new_password});
    let call = client.post(format!("{api}/v1/auth/login")).json(&login);
    let tokens: Value = call.send().await?.error_for_status()?.json().await?;
    let token = tokens["access_token"].as_str().context("no access token")?;
    let key = json!({"name": "bench", "permissions": ["schedules:read", "schedules:write"]});
    let call = client.post(format!("{api}/v1/api-keys")).bearer_auth(token);
    let created: Value = call
        .json(&key)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    Ok(created["key"].as_str().context("no API key")?.to_owned())
}
