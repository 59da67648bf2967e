//! The sweep dispatches a schedule whose one-time schedule does not fire.

use crate::stack::{
    Fault, Injection, ScheduleRun,
    faults::common::{EVENTBRIDGE_LEAD_S, delete_one_time_schedule},
};

pub const FAULT: Fault = Fault {
    name: "eventbridge-never",
    description: "The one-time schedule never fires.",
    recipients: 60,
    lead_s: EVENTBRIDGE_LEAD_S,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(run: ScheduleRun) -> anyhow::Result<()> {
    run.client.step(run.id, "activate").await?;
    delete_one_time_schedule(&run.client, run.id).await
}
