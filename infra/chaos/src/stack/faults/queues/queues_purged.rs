//! The queues are only a fast path: the sweep enqueues what they lose.

use std::time::Duration;

use chrono::{TimeDelta, Utc};

use crate::stack::{
    Fault, GlobalRun, Injection,
    faults::common::{purge, until},
};

pub const FAULT: Fault = Fault {
    name: "queues-purged",
    description: "All queues are purged repeatedly.",
    recipients: 1200,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(run: GlobalRun) -> anyhow::Result<()> {
    until(run.run_at - TimeDelta::seconds(2)).await;
    while Utc::now() < run.run_at + TimeDelta::seconds(3) {
        for queue in ["DISPATCH_QUEUE_URL", "SEND_QUEUE_URL", "RECHECK_QUEUE_URL"] {
            purge(&run.client, queue).await?;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    Ok(())
}
