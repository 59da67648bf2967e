//! Access to everything on the stack that a fault or a check needs.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use demo::{
    api::{Api, NewSchedule, http_client},
    aws,
    ledger::Ledger,
    stack::Stack,
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{MySqlPool, mysql::MySqlPoolOptions};
use uuid::Uuid;

use super::{points::FaultPoints, settings::StackSettings};
use crate::history;

/// Access to a running stack.
pub struct StackClient {
    /// The stack's description.
    pub stack: Stack,
    /// The API, as a client calls it.
    pub api: Api,
    /// The database, as an administrator, not through the proxy.
    pub pool: MySqlPool,
    /// A client for everything that has no client of its own.
    pub http: reqwest::Client,
    /// The queues.
    pub sqs: aws_sdk_sqs::Client,
    /// The one-time schedules.
    pub scheduler: aws_sdk_scheduler::Client,
    /// The messages that the carrier accepted.
    pub ledger: Ledger,
    /// The fault points of the functions.
    pub(super) points: FaultPoints,
    /// The settings of carrier, network and database.
    pub(super) settings: StackSettings,
}

impl StackClient {
    /// Connects to the stack that `STACK_ENV` names. It must have been started with `FAULTS`.
    pub async fn connect() -> anyhow::Result<Self> {
        let stack = Stack::from_environment()?;
        let http = http_client()?;
        let pool = MySqlPoolOptions::new()
            .max_connections(4)
            .connect(stack.value("DATABASE_URL")?)
            .await
            .context("the database")?;
        history::record_changes(&pool)
            .await
            .context("recording the changes of rows")?;
        let port = stack
            .value("FAULT_POINTS_PORT")?
            .parse()
            .context("FAULT_POINTS_PORT")?;
        let carrier_url = stack.carrier_origin()?;
        Ok(Self {
            api: Api::new(
                http.clone(),
                stack.value("API_URL")?,
                stack.value("API_KEY")?,
            )?,
            sqs: aws::sqs(&stack)?,
            scheduler: aws::scheduler(&stack)?,
            ledger: Ledger::new(http.clone(), &carrier_url),
            points: FaultPoints::serve(port).await?,
            settings: StackSettings {
                http: http.clone(),
                carrier_url,
                carrier_proxy_url: stack.value("CARRIER_PROXY_CONTROL")?.to_owned(),
                database_proxy_url: stack.value("DATABASE_PROXY_CONTROL")?.to_owned(),
                pool: pool.clone(),
            },
            pool,
            http,
            stack,
        })
    }

    /// Posts a schedule as a draft.
    pub async fn post_draft(
        &self,
        run_at: DateTime<Utc>,
        recipients: Vec<String>,
    ) -> anyhow::Result<Uuid> {
        let schedule = NewSchedule {
            draft: true,
            ..NewSchedule::new(run_at, "This is a test.", recipients)
        };
        Ok(self.api.create(&schedule).await?.id)
    }

    /// Calls the API and returns the status and the body. Repeats the call, as a client would,
    /// while the API cannot be reached or answers with a server error.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(u16, Value)> {
        for _ in 0..20 {
            let mut call = self
                .api
                .request(method.clone(), path)
                .timeout(Duration::from_secs(30));
            if let Some(body) = &body {
                call = call.json(body);
            }
            if let Ok(answer) = call.send().await
                && answer.status().as_u16() < 500
            {
                let status = answer.status().as_u16();
                return Ok((status, answer.json().await.unwrap_or_default()));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        anyhow::bail!("{method} {path}: the API cannot be reached")
    }

    /// Calls `POST /v1/schedules/{id}/{step}`, which has to succeed.
    pub async fn step(&self, id: Uuid, step: &str) -> anyhow::Result<Value> {
        let path = format!("/v1/schedules/{id}/{step}");
        // A time that has passed during a pause becomes now.
        let body = (step == "resume").then(|| json!({ "now": true }));
        let (status, answer) = self.call(Method::POST, &path, body).await?;
        anyhow::ensure!(status == 200, "{step} answered {status}: {answer}");
        Ok(answer)
    }

    /// Invokes dispatch and waits until it has ended.
    pub async fn dispatch(&self, event: Value) -> anyhow::Result<()> {
        aws::invoke(&self.stack, &self.http, "DISPATCH", &event).await
    }

    /// Returns the event that EventBridge passes to dispatch for a schedule.
    pub fn event(id: Uuid, version: u32) -> Value {
        json!({ "schedule_id": id, "version": version })
    }

    /// Returns the numbers of a schedule's batches.
    pub async fn batches(&self, id: Uuid) -> sqlx::Result<Vec<u32>> {
        let sql = "SELECT batch_no FROM batches WHERE schedule_id = ? ORDER BY batch_no";
        sqlx::query_scalar(sql).bind(id).fetch_all(&self.pool).await
    }

    /// Waits until `condition`, an SQL expression over a schedule's row `s`, is true. Returns false
    /// after 30 s.
    pub async fn wait_for(&self, id: Uuid, condition: &str) -> sqlx::Result<bool> {
        let sql =
            format!("SELECT EXISTS (SELECT 1 FROM schedules s WHERE s.id = ? AND ({condition}))");
        for _ in 0..600 {
            let is_true: i64 = sqlx::query_scalar(&sql)
                .bind(id)
                .fetch_one(&self.pool)
                .await?;
            if is_true == 1 {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(false)
    }
}
