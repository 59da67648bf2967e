//! Everything on the stack that a fault may reach for.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use demo::{
    api::{Api, NewSchedule, http_client},
    aws,
    ledger::Ledger,
    stack::Stack,
};
use serde_json::{Value, json};
use sqlx::{MySqlPool, mysql::MySqlPoolOptions};
use uuid::Uuid;

use super::points::Points;
use crate::history;

/// See the module.
pub struct World {
    /// Its settings.
    pub stack: Stack,
    /// The API, as a client sees it.
    pub api: Api,
    /// The database itself, not through the proxy, as its administrator.
    pub pool: MySqlPool,
    /// For everything that has no client of its own.
    pub http: reqwest::Client,
    /// Its queues.
    pub sqs: aws_sdk_sqs::Client,
    /// Its one-time schedules.
    pub scheduler: aws_sdk_scheduler::Client,
    /// What the carrier accepted.
    pub ledger: Ledger,
    /// What becomes of processes.
    pub points: Points,
    carrier: String,
}

impl World {
    /// Enters the stack that `STACK_ENV` names, started with faults.
    pub async fn enter() -> anyhow::Result<Self> {
        let stack = Stack::from_environment()?;
        let http = http_client()?;
        let pool = MySqlPoolOptions::new()
            .max_connections(4)
            .connect(stack.value("DATABASE_URL")?)
            .await
            .context("the database")?;
        history::keep(&pool).await.context("keeping the history")?;
        let port = stack
            .value("FAULT_POINTS_PORT")?
            .parse()
            .context("FAULT_POINTS_PORT")?;
        let carrier = stack.carrier_origin()?;
        Ok(Self {
            api: Api::new(
                http.clone(),
                stack.value("API_URL")?,
                stack.value("API_KEY")?,
            )?,
            sqs: aws::sqs(&stack)?,
            scheduler: aws::scheduler(&stack)?,
            ledger: Ledger::new(http.clone(), &carrier),
            points: Points::serve(port).await?,
            pool,
            http,
            carrier,
            stack,
        })
    }

    /// Makes a draft.
    pub async fn draft(
        &self,
        run_at: DateTime<Utc>,
        recipients: Vec<String>,
    ) -> anyhow::Result<Uuid> {
        let schedule = NewSchedule {
            draft: true,
            ..NewSchedule::new(run_at, "Is anybody there?", recipients)
        };
        Ok(self.api.create(&schedule).await?.id)
    }

    /// Calls something else of the API; its answer, whatever it is. Repeated while the API is out of reach, as a client would.
    pub async fn call(
        &self,
        method: reqwest::Method,
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
        anyhow::bail!("{method} {path}: the API is out of reach")
    }

    /// `POST /v1/schedules/{id}/{step}`, which has to succeed.
    pub async fn step(&self, id: Uuid, step: &str) -> anyhow::Result<Value> {
        let (status, answer) = self
            .call(
                reqwest::Method::POST,
                &format!("/v1/schedules/{id}/{step}"),
                None,
            )
            .await?;
        anyhow::ensure!(status == 200, "{step} answered {status}: {answer}");
        Ok(answer)
    }

    /// Invokes dispatch and waits for it.
    pub async fn dispatch(&self, event: Value) -> anyhow::Result<()> {
        aws::invoke(&self.stack, &self.http, "DISPATCH", &event).await
    }

    /// What EventBridge would say of a schedule.
    pub fn event(id: Uuid, version: u32) -> Value {
        json!({ "schedule_id": id, "version": version })
    }

    /// The carrier behaves like this from now on; what is not named stays.
    pub async fn carrier(&self, settings: Value) -> anyhow::Result<()> {
        let call = self
            .http
            .patch(format!("{}/settings", self.carrier))
            .json(&settings);
        call.send()
            .await?
            .error_for_status()
            .context("the simulator's settings")
            .map(drop)
    }

    /// The network to the database (`DATABASE`) or to the carrier (`CARRIER`) behaves like this from now on.
    pub async fn network(&self, which: &str, settings: Value) -> anyhow::Result<()> {
        let control = self.stack.value(&format!("{which}_PROXY_CONTROL"))?;
        self.http
            .patch(format!("{control}/settings"))
            .json(&settings)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// Resets every connection there.
    pub async fn cut(&self, which: &str) -> anyhow::Result<()> {
        let control = self.stack.value(&format!("{which}_PROXY_CONTROL"))?;
        self.http
            .post(format!("{control}/cut"))
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// The numbers of the batches that a schedule has.
    pub async fn batches(&self, id: Uuid) -> sqlx::Result<Vec<u32>> {
        let sql = "SELECT batch_no FROM batches WHERE schedule_id = ? ORDER BY batch_no";
        sqlx::query_scalar(sql).bind(id).fetch_all(&self.pool).await
    }

    /// Waits until a question about a schedule, an SQL expression over its row `s`, is true; false after 30 s.
    pub async fn wait_for(&self, id: Uuid, question: &str) -> sqlx::Result<bool> {
        let sql =
            format!("SELECT EXISTS (SELECT 1 FROM schedules s WHERE s.id = ? AND ({question}))");
        for _ in 0..600 {
            if sqlx::query_scalar::<_, i64>(&sql)
                .bind(id)
                .fetch_one(&self.pool)
                .await?
                == 1
            {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(false)
    }
}

/// Sleeps until then.
pub async fn until(at: DateTime<Utc>) {
    if let Ok(wait) = (at - Utc::now()).to_std() {
        tokio::time::sleep(wait).await;
    }
}
