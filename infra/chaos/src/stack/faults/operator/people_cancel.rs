//! After a cancellation no request may begin.

use anyhow::ensure;
use chrono::TimeDelta;

use crate::stack::{Fault, Injection, ScheduleRun, faults::common::until};

pub const FAULT: Fault = Fault {
    name: "people-cancel",
    description: "An operator cancels the schedule while it is sent.",
    recipients: 1200,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(mut run: ScheduleRun) -> anyhow::Result<()> {
    let cancel_at = run.run_at + TimeDelta::milliseconds(run.rng.i64(-500..1500));
    run.client.step(run.id, "activate").await?;
    until(cancel_at).await;
    let answer = run.client.step(run.id, "cancel").await;
    // A schedule that has finished by then cannot be cancelled.
    ensure!(
        answer.is_ok() || run.client.wait_for(run.id, "s.status = 'finished'").await?,
        "{answer:?}"
    );
    Ok(())
}
