//! Only one of several sends may own the batch.

use std::time::Duration;

use anyhow::ensure;
use shared::platform::fault::Point;

use crate::stack::{
    Fault, Injection, ScheduleRun,
    faults::common::deliver_again,
    points::{Action, Order},
};

pub const FAULT: Fault = Fault {
    name: "two-at-once",
    description: "Several sends receive the same batch at the same time.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(run: ScheduleRun) -> anyhow::Result<()> {
    let ScheduleRun { client, id, .. } = &run;
    let hold = Action::Hold(Duration::from_millis(700));
    client.points.order(*id, Order::once(Point::Claimed, hold));
    client.step(*id, "activate").await?;
    ensure!(
        client.wait_for(*id, "s.status = 'running'").await?,
        "the schedule did not start"
    );
    for _ in 0..4 {
        deliver_again(client, *id).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}
