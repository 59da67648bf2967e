//! A pause loses nothing.

use std::time::Duration;

use chrono::TimeDelta;

use crate::stack::{Fault, Injection, ScheduleRun, faults::common::until};

pub const FAULT: Fault = Fault {
    name: "people-pause",
    description: "An operator pauses and resumes the schedule repeatedly while it is sent.",
    recipients: 1200,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(mut run: ScheduleRun) -> anyhow::Result<()> {
    let pause_at = run.run_at + TimeDelta::milliseconds(run.rng.i64(-1500..500));
    run.client.step(run.id, "activate").await?;
    until(pause_at).await;
    for _ in 0..3 {
        let paused = run.client.step(run.id, "pause").await;
        tokio::time::sleep(Duration::from_millis(run.rng.u64(0..1200))).await;
        if paused.is_ok() {
            run.client.step(run.id, "resume").await?;
        }
        tokio::time::sleep(Duration::from_millis(run.rng.u64(0..800))).await;
    }
    Ok(())
}
