//! An event carries the version of the time for which it was created.

use chrono::TimeDelta;

use crate::stack::{
    Fault, Injection, ScheduleRun, StackClient,
    faults::common::{EVENTBRIDGE_LEAD_S, reschedule, until},
};

pub const FAULT: Fault = Fault {
    name: "eventbridge-old-version",
    description: "The one-time schedule fires for a time that was changed since.",
    recipients: 60,
    lead_s: EVENTBRIDGE_LEAD_S,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(run: ScheduleRun) -> anyhow::Result<()> {
    run.client.step(run.id, "activate").await?;
    reschedule(&run, run.run_at + TimeDelta::seconds(3), false).await?;
    until(run.run_at - TimeDelta::seconds(15)).await;
    run.client.dispatch(StackClient::event(run.id, 1)).await
}
