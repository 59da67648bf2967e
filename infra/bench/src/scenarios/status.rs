//! Status updates: recheck asks for each message of a list that was sent, and records its end. The
//! bare loop makes the same queries and records nothing.

use std::time::Duration;

use chrono::Utc;
use serde_json::json;

use crate::{
    bench::Bench,
    figure::Figure,
    load::{Packing, Rate, bare},
    scenarios::sending::{bare_loop, send},
    stage::{Play, Stage},
};

const MESSAGES: u64 = 100_000;
/// The first recheck is due a second after the end of a batch.
const DUE: Duration = Duration::from_millis(1500);

/// Asks in both ways.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let messages = bench.options.messages(MESSAGES);
    let play = Play {
        name: "status",
        settings: &[("RECHECK_DELAYS_S", "1")],
        carrier: json!({}),
    };
    let mut stage = Stage::start(bench, play).await?;
    let bare = bare_loop(bench, &stage, Packing::Hundred, messages)?;
    let (_, ids) = bare.submit().await?;
    let concurrency = bench.deployment.source("recheck")?.concurrency;
    let in_flight = bench.deployment.number("recheck", "RECHECK_IN_FLIGHT")?;
    let asked = bare::ask(&bare.carrier, &ids, concurrency * in_flight).await?;
    stage.carrier.reset().await?;
    send(bench, &mut stage, messages).await?;
    stage.driver.provide("recheck", concurrency).await?;
    tokio::time::sleep(DUE).await;
    let begun = Utc::now();
    stage.driver.map("recheck").await?;
    stage
        .wait_until_none(&["recheck"], &["ACCEPTD", "ENROUTE"])
        .await?;
    let took = stage.since(begun, "recheck")?;
    stage.expect("DELIVRD", messages).await?;
    stage.stop(bench).await?;
    let recorded = Rate { messages, took }.per_second();
    let figure = Figure::new("status updates recorded", recorded, "messages/s");
    let figure = figure.against("bare loop of status queries", asked.per_second());
    Ok(vec![figure.goal("≥ 0.9")])
}
