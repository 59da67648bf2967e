//! The lead is 20 s, and EventBridge fires up to 10 s late: the changes race with the cut.

use std::time::Duration;

use chrono::TimeDelta;

use crate::stack::{
    Fault, Injection, ScheduleRun,
    faults::common::{reschedule, until},
};

pub const FAULT: Fault = Fault {
    name: "people-reschedule",
    description: "An operator changes the schedule's time while it is cut.",
    recipients: 1200,
    lead_s: 24,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(mut run: ScheduleRun) -> anyhow::Result<()> {
    run.client.step(run.id, "activate").await?;
    until(run.run_at - TimeDelta::seconds(21)).await;
    for _ in 0..6 {
        let later = TimeDelta::seconds(run.rng.i64(0..4));
        reschedule(&run, run.run_at + later, true).await?;
        tokio::time::sleep(Duration::from_millis(run.rng.u64(0..700))).await;
    }
    Ok(())
}
