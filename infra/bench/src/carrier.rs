//! The carrier: the simulator as a process of its own, so that its CPU time is measured apart.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use reqwest::Client;
use serde_json::{Value, json};
use simulator::{LedgerLine, Stats};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::process::Usage;

/// A running simulator. It is killed when this value is dropped.
pub struct Carrier {
    child: Child,
    client: Client,
    url: String,
}

/// An acceptance of the ledger.
pub struct Acceptance {
    /// The number.
    pub number: String,
    /// The text.
    pub text: String,
    /// When it was accepted.
    pub at: DateTime<Utc>,
}

impl Carrier {
    /// Starts a simulator with these settings.
    pub async fn start(binaries: &Path, settings: &Value) -> anyhow::Result<Self> {
        let mut child = Command::new(binaries.join("simulator"))
            .env("SIMULATOR_PORT", "0")
            .env("SIMULATOR_SETTINGS", settings.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting the simulator")?;
        let output = child.stdout.take().context("the simulator's output")?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await??;
        let line = line.context("the simulator ended while it started")?;
        let url = line.strip_prefix("listening on ").context(line.clone())?;
        Ok(Self {
            child,
            client: demo::api::http_client()?,
            url: url.to_owned(),
        })
    }

    /// Returns the URL for submissions and status queries.
    pub fn api_url(&self) -> String {
        format!("{}/api", self.url)
    }

    /// Changes settings.
    pub async fn set(&self, patch: Value) -> anyhow::Result<()> {
        let call = self.client.patch(format!("{}/settings", self.url));
        call.json(&patch).send().await?.error_for_status()?;
        Ok(())
    }

    /// Changes the delay before the response to a submission.
    pub async fn set_latency(&self, latency: Duration) -> anyhow::Result<()> {
        self.set(json!({"latency_ms": latency.as_millis() as u64}))
            .await
    }

    /// Empties the ledger and the counts.
    pub async fn reset(&self) -> anyhow::Result<()> {
        let call = self.client.delete(format!("{}/ledger", self.url));
        call.send().await?.error_for_status()?;
        Ok(())
    }

    /// Returns the counts.
    pub async fn stats(&self) -> anyhow::Result<Stats> {
        let call = self.client.get(format!("{}/stats", self.url));
        Ok(call.send().await?.error_for_status()?.json().await?)
    }

    /// Reads the ledger.
    pub async fn ledger(&self) -> anyhow::Result<Vec<Acceptance>> {
        let call = self.client.get(format!("{}/ledger?from=0", self.url));
        let body = call.send().await?.error_for_status()?.text().await?;
        let lines = body.lines().map(|line| {
            let line: LedgerLine = serde_json::from_str(line)?;
            let at = DateTime::parse_from_rfc3339(&line.time)?.to_utc();
            Ok(Acceptance {
                number: line.dnis,
                text: line.text,
                at,
            })
        });
        lines.collect()
    }

    /// Returns what the process has used.
    pub fn usage(&self) -> Usage {
        self.child.id().and_then(Usage::of).unwrap_or_default()
    }

    /// Ends the process.
    pub async fn stop(mut self) {
        // Fails only if the process has ended already.
        let _ = self.child.kill().await;
    }
}
