//! Three batches per schedule, and two kills: a third kill of one batch would park it, which is
//! another fault.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use serde_json::json;
use shared::platform::fault::Point;

use crate::{
    server::Server,
    stack::{
        Fault, GlobalRun, Injection,
        faults::common::{deliver_again, until},
        points::{KILL, Order},
        settings::Change,
    },
};

pub const FAULT: Fault = Fault {
    name: "mix",
    description: "Functions are killed, messages duplicated, connections reset, and the carrier \
                  swallows, resets and throttles requests, all at random.",
    recipients: 1200,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

const POINTS: [Point; 6] = [
    Point::Claimed,
    Point::Marked,
    Point::InFlight,
    Point::Answered,
    Point::Recorded,
    Point::Asked,
];

async fn inject(mut run: GlobalRun) -> anyhow::Result<()> {
    let client = Arc::clone(&run.client);
    for &id in &run.ids {
        for _ in 0..2 {
            let point = POINTS[run.rng.usize(..POINTS.len())];
            client.points.order(id, Order::once(point, KILL));
        }
    }
    until(run.run_at - TimeDelta::seconds(1)).await;
    let carrier = Change::Carrier(json!({
        "busy_429": 0.2, "hang_after_accept": 0.1, "reset_after_accept": 0.1, "partial": 0.1,
    }));
    client.settings.during(carrier, disturb(&mut run)).await?;
    for &id in &run.ids {
        // Not every schedule reaches both points.
        client.points.remove(id);
    }
    Ok(())
}

async fn disturb(run: &mut GlobalRun) -> anyhow::Result<()> {
    let settings = &run.client.settings;
    while Utc::now() < run.run_at + TimeDelta::seconds(8) {
        let id = run.ids[run.rng.usize(..run.ids.len())];
        match run.rng.u32(..4) {
            0 => settings.cut_connections(Server::Database).await?,
            1 => settings.cut_connections(Server::Carrier).await?,
            _ => deliver_again(&run.client, id).await?,
        }
        tokio::time::sleep(Duration::from_millis(run.rng.u64(100..900))).await;
    }
    Ok(())
}
