//! What the carrier does, and the network to it; and everything together.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    BoxFuture, Everything, Fault, How,
    points::{KILL, Order},
    queues,
    world::until,
};
use shared::platform::fault::Point;

const fn fault(
    name: &'static str,
    what: &'static str,
    how: fn(Everything) -> BoxFuture<'static, anyhow::Result<()>>,
) -> Fault {
    Fault {
        name,
        what,
        recipients: 600,
        lead_s: 4,
        uncertain: None,
        how: How::All(how),
    }
}

pub(super) fn faults() -> Vec<Fault> {
    vec![
        fault("carrier-429", "four of five requests get 429", |all| {
            behaves(all, json!({ "busy_429": 0.8 }), 5)
        }),
        fault(
            "carrier-429-retry-after",
            "every request gets 429 with Retry-After",
            |all| behaves(all, json!({ "busy_429": 1.0, "retry_after_s": 2 }), 5),
        ),
        fault("carrier-503", "every request gets 503", |all| {
            behaves(all, json!({ "error_5xx_before": 1.0 }), 5)
        }),
        fault(
            "carrier-gone",
            "it refuses every connection for eight seconds",
            |all| Box::pin(gone(all)),
        ),
        fault(
            "carrier-swallows",
            "half of the requests are accepted and never answered",
            |all| behaves(all, json!({ "hang_after_accept": 0.5 }), 5),
        ),
        fault(
            "carrier-resets",
            "half of the requests are accepted, and the connection reset",
            |all| behaves(all, json!({ "reset_after_accept": 0.5 }), 5),
        ),
        fault(
            "carrier-cut-short",
            "every connection is reset in the middle of its first answer",
            |all| Box::pin(cut_short(all)),
        ),
        fault(
            "carrier-leaves-out",
            "half of the answers leave numbers out",
            |all| behaves(all, json!({ "partial": 0.5 }), 5),
        ),
        fault(
            "carrier-nonsense",
            "answers are {}, [] or a web page, after acceptance",
            |all| {
                behaves(
                    all,
                    json!({ "empty_object": 0.2, "empty_array": 0.2, "html": 0.2 }),
                    5,
                )
            },
        ),
        fault(
            "carrier-slow",
            "every request takes longer than we wait",
            |all| behaves(all, json!({ "slow_ms": 3000 }), 6),
        ),
        fault("carrier-status-down", "every status query fails", |all| {
            behaves(all, json!({ "status_error": 1.0 }), 10)
        }),
        fault(
            "carrier-undeliv",
            "the first message to everybody ends UNDELIV",
            |all| behaves(all, json!({ "undeliv_first_attempts": 1 }), 30),
        ),
        Fault {
            name: "mix",
            what: "kills, duplicates, a cut network, and a carrier that swallows, resets and throttles, all at random",
            recipients: 1200,
            lead_s: 4,
            uncertain: None,
            how: How::All(|all| Box::pin(mix(all))),
        },
    ]
}

/// Nothing is wrong with it, and it takes its time, so that there is something to interrupt.
pub(super) fn healthy() -> Value {
    json!({
        "latency_ms": 300, "latency_jitter_ms": 200, "delivery_delay_ms_min": 500, "delivery_delay_ms_max": 3000, "busy_429": 0.0,
        "retry_after_s": null, "error_5xx_before": 0.0, "hang_after_accept": 0.0, "reset_after_accept": 0.0, "partial": 0.0,
        "empty_object": 0.0, "empty_array": 0.0, "html": 0.0, "slow_ms": 0, "status_error": 0.0, "undeliv_first_attempts": 0,
    })
}

/// The carrier is like that from just before the time until some seconds after it.
fn behaves(
    all: Everything,
    settings: Value,
    seconds: i64,
) -> BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(async move {
        until(all.run_at - TimeDelta::seconds(1)).await;
        all.world.carrier(settings).await?;
        until(all.run_at + TimeDelta::seconds(seconds)).await;
        all.world.carrier(healthy()).await
    })
}

async fn gone(all: Everything) -> anyhow::Result<()> {
    until(all.run_at - TimeDelta::seconds(1)).await;
    all.world
        .network("CARRIER", json!({ "refuse": true }))
        .await?;
    all.world.cut("CARRIER").await?;
    until(all.run_at + TimeDelta::seconds(7)).await;
    all.world
        .network("CARRIER", json!({ "refuse": false }))
        .await
}

async fn cut_short(all: Everything) -> anyhow::Result<()> {
    until(all.run_at - TimeDelta::seconds(1)).await;
    all.world
        .network("CARRIER", json!({ "cut_after_bytes": 40 }))
        .await?;
    until(all.run_at + TimeDelta::seconds(3)).await;
    all.world
        .network("CARRIER", json!({ "cut_after_bytes": null }))
        .await
}

async fn mix(mut all: Everything) -> anyhow::Result<()> {
    const POINTS: [Point; 6] = [
        Point::Claimed,
        Point::Marked,
        Point::InFlight,
        Point::Answered,
        Point::Recorded,
        Point::Asked,
    ];
    let world = std::sync::Arc::clone(&all.world);
    for &id in &all.ids {
        // Three batches, and never three deaths of one: that would be another fault.
        for _ in 0..2 {
            let point = POINTS[all.random.usize(..POINTS.len())];
            world.points.order(
                id,
                Order {
                    point,
                    action: KILL,
                    times: 1,
                },
            );
        }
    }
    until(all.run_at - TimeDelta::seconds(1)).await;
    world.carrier(json!({ "busy_429": 0.2, "hang_after_accept": 0.1, "reset_after_accept": 0.1, "partial": 0.1 })).await?;
    while chrono::Utc::now() < all.run_at + TimeDelta::seconds(8) {
        let id = all.ids[all.random.usize(..all.ids.len())];
        match all.random.u32(..4) {
            0 => world.cut("DATABASE").await?,
            1 => world.cut("CARRIER").await?,
            _ => queues::deliver_again(&world, id).await?,
        }
        tokio::time::sleep(Duration::from_millis(all.random.u64(100..900))).await;
    }
    world.carrier(healthy()).await?;
    for &id in &all.ids {
        world.points.forget(id);
    }
    Ok(())
}
