//! A batch that was claimed three times without a release is parked until an operator retries it.

use anyhow::ensure;
use shared::platform::fault::Point;

use crate::stack::{
    Fault, Injection, ScheduleRun,
    points::{KILL, Order},
};

pub const FAULT: Fault = Fault {
    name: "killed-three-times",
    description: "Three owners of a batch are killed; the batch is parked until an operator \
                  retries it.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(run: ScheduleRun) -> anyhow::Result<()> {
    let ScheduleRun { client, id, .. } = &run;
    let kills = Order {
        point: Point::Claimed,
        action: KILL,
        times: 3,
    };
    client.points.order(*id, kills);
    client.step(*id, "activate").await?;
    let parked = "EXISTS (SELECT 1 FROM batches b WHERE b.schedule_id = s.id
        AND b.crashes >= 3 AND b.claimed_until < UTC_TIMESTAMP(3))";
    ensure!(
        client.wait_for(*id, parked).await? || client.wait_for(*id, parked).await?,
        "the batch was not parked"
    );
    let answer = client.step(*id, "retry").await?;
    ensure!(
        answer.to_string().contains('1'),
        "retry released no batch: {answer}"
    );
    Ok(())
}
