//! A message that was handled before must have no effect.

use std::time::Duration;

use crate::stack::{Fault, Injection, ScheduleRun, faults::common::deliver_again};

pub const FAULT: Fault = Fault {
    name: "delivered-thrice",
    description: "Every message is delivered two or three times, at once, late and out of order.",
    recipients: 1200,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(mut run: ScheduleRun) -> anyhow::Result<()> {
    run.client.step(run.id, "activate").await?;
    run.client.wait_for(run.id, "s.status = 'running'").await?;
    for _ in 0..8 {
        deliver_again(&run.client, run.id).await?;
        if run.rng.bool() {
            deliver_again(&run.client, run.id).await?;
        }
        tokio::time::sleep(Duration::from_millis(run.rng.u64(0..1500))).await;
    }
    Ok(())
}
