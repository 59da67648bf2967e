//! An event for a cancelled schedule must have no effect.

use anyhow::ensure;
use chrono::TimeDelta;

use crate::stack::{
    Fault, Injection, ScheduleRun, StackClient,
    faults::common::{EVENTBRIDGE_LEAD_S, count, until},
};

pub const FAULT: Fault = Fault {
    name: "eventbridge-cancelled",
    description: "The one-time schedule fires for a cancelled schedule.",
    recipients: 60,
    lead_s: EVENTBRIDGE_LEAD_S,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(run: ScheduleRun) -> anyhow::Result<()> {
    let ScheduleRun { client, id, .. } = &run;
    client.step(*id, "activate").await?;
    client.step(*id, "cancel").await?;
    until(run.run_at).await;
    client.dispatch(StackClient::event(*id, 1)).await?;
    until(run.run_at + TimeDelta::seconds(2)).await;
    let sent = "SELECT COUNT(*) FROM recipients WHERE schedule_id = ? AND attempt > 0";
    ensure!(
        count(client, *id, sent).await? == 0,
        "a cancelled schedule was sent"
    );
    Ok(())
}
