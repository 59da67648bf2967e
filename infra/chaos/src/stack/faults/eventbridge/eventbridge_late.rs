//! The sweep dispatches a schedule whose one-time schedule is late.

use chrono::TimeDelta;

use crate::stack::{
    Fault, Injection, ScheduleRun, StackClient,
    faults::common::{EVENTBRIDGE_LEAD_S, delete_one_time_schedule, until},
};

pub const FAULT: Fault = Fault {
    name: "eventbridge-late",
    description: "The one-time schedule fires three seconds after the schedule's time.",
    recipients: 60,
    lead_s: EVENTBRIDGE_LEAD_S,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(run: ScheduleRun) -> anyhow::Result<()> {
    run.client.step(run.id, "activate").await?;
    delete_one_time_schedule(&run.client, run.id).await?;
    until(run.run_at + TimeDelta::seconds(3)).await;
    run.client.dispatch(StackClient::event(run.id, 1)).await
}
