//! Only the first event cuts the schedule.

use chrono::TimeDelta;

use crate::stack::{
    Fault, Injection, ScheduleRun, StackClient,
    faults::common::{EVENTBRIDGE_LEAD_S, until},
};

pub const FAULT: Fault = Fault {
    name: "eventbridge-thrice",
    description: "The one-time schedule fires three times at once, and again later.",
    recipients: 60,
    lead_s: EVENTBRIDGE_LEAD_S,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(run: ScheduleRun) -> anyhow::Result<()> {
    run.client.step(run.id, "activate").await?;
    until(run.run_at - TimeDelta::seconds(18)).await;
    let fire = || run.client.dispatch(StackClient::event(run.id, 1));
    let (first, second, third) = tokio::join!(fire(), fire(), fire());
    first.and(second).and(third)?;
    until(run.run_at + TimeDelta::seconds(1)).await;
    fire().await
}
