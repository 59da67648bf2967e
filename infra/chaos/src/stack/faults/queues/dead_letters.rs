//! A redrive may meet batches that were handled in the meantime.

use anyhow::ensure;
use chrono::TimeDelta;
use reqwest::Method;

use crate::stack::{
    Fault, GlobalRun, Injection,
    faults::common::{enqueue_batches, purge, until},
};

pub const FAULT: Fault = Fault {
    name: "dead-letters",
    description: "The messages are in the dead-letter queues until an operator redrives them.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(run: GlobalRun) -> anyhow::Result<()> {
    let client = &run.client;
    for &id in &run.ids {
        client.wait_for(id, "s.status = 'running'").await?;
    }
    for queue in ["SEND_QUEUE_URL", "RECHECK_QUEUE_URL"] {
        purge(client, queue).await?;
    }
    for &id in &run.ids {
        enqueue_batches(client, id, "SEND_DLQ_URL").await?;
        enqueue_batches(client, id, "RECHECK_DLQ_URL").await?;
    }
    until(run.run_at + TimeDelta::seconds(1)).await;
    let redrive = "/v1/attention/dead-letters/redrive";
    let (status, answer) = client.call(Method::POST, redrive, None).await?;
    ensure!(status == 200, "redrive answered {status}: {answer}");
    Ok(())
}
