//! An event for a paused schedule must have no effect.

use anyhow::ensure;

use crate::stack::{
    Fault, Injection, ScheduleRun, StackClient,
    faults::common::{EVENTBRIDGE_LEAD_S, count, until},
};

pub const FAULT: Fault = Fault {
    name: "eventbridge-paused",
    description: "The one-time schedule fires for a paused schedule, which is resumed later.",
    recipients: 60,
    lead_s: EVENTBRIDGE_LEAD_S,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(run: ScheduleRun) -> anyhow::Result<()> {
    let ScheduleRun { client, id, .. } = &run;
    client.step(*id, "activate").await?;
    client.step(*id, "pause").await?;
    until(run.run_at).await;
    client.dispatch(StackClient::event(*id, 1)).await?;
    let batches = "SELECT COUNT(*) FROM batches WHERE schedule_id = ?";
    ensure!(
        count(client, *id, batches).await? == 0,
        "a paused schedule was cut"
    );
    client.step(*id, "resume").await.map(drop)
}
