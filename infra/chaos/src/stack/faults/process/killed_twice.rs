//! The second owner of a batch is killed as well.

use std::time::Duration;

use shared::platform::fault::Point;

use crate::stack::{
    Fault, Injection, ScheduleRun,
    faults::common::IN_FLIGHT,
    points::{Action, KILL, Order},
};

pub const FAULT: Fault = Fault {
    name: "killed-twice",
    description: "Send is killed after the claim, and its successor while requests are in flight.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(IN_FLIGHT),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(run: ScheduleRun) -> anyhow::Result<()> {
    let in_flight = Action::Kill {
        after: Duration::from_millis(150),
    };
    let points = &run.client.points;
    points.order(run.id, Order::once(Point::Claimed, KILL));
    points.order(run.id, Order::once(Point::InFlight, in_flight));
    run.client.step(run.id, "activate").await.map(drop)
}
